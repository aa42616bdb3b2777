"""What differs by colour: sleeping, the scope of a connection pool, and asking a thing once."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


async def sleep_async(seconds: float) -> None:
    """Wait, letting other tasks run."""
    await asyncio.sleep(seconds)


def sleep(seconds: float) -> None:
    """Wait in this thread."""
    time.sleep(seconds)


class _Process:
    """Stands for the process as the scope of a blocking connection pool."""


_PROCESS = _Process()


async def scope_async() -> object:
    """What a connection pool may be shared within: the running event loop."""
    return asyncio.get_running_loop()


def scope() -> object:
    """What a connection pool may be shared within: the process, all threads of it."""
    return _PROCESS


class Once(Generic[T]):
    """A value that is asked for once, however many tasks, threads and loops want it at a time.

    Whoever comes first asks; the others wait for that answer. A failure is raised to all who
    waited and then forgotten, so that the next caller asks again.
    """

    def __init__(self, value: T | None = None) -> None:
        self._value = value
        self._lock = threading.Lock()
        self._asking: Future[Exception | None] | None = None

    async def get_async(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The value, asked for with ``ask`` when nobody has it yet."""
        while self._value is None:
            others = self._join()
            if others is not None:
                # Shielded: a waiting task that is cancelled must not cancel what others wait for.
                failure = await asyncio.shield(asyncio.wrap_future(others))
                if failure is not None:
                    raise failure
                continue
            try:
                self._value = await ask()
            except Exception as error:
                self._settle(error)
                raise
            except BaseException:  # this caller was stopped; another one asks instead
                self._settle(None)
                raise
            self._settle(None)
        return self._value

    def get(self, ask: Callable[[], T]) -> T:
        """The value, asked for with ``ask`` when nobody has it yet."""
        while self._value is None:
            if _runs_loop():
                # Who asks may be a task of this very thread, and waiting for it would never end.
                self._value = ask()
                break
            others = self._join()
            if others is not None:
                failure = others.result()
                if failure is not None:
                    raise failure
                continue
            try:
                self._value = ask()
            except Exception as error:
                self._settle(error)
                raise
            except BaseException:  # this caller was stopped; another one asks instead
                self._settle(None)
                raise
            self._settle(None)
        return self._value

    def _join(self) -> Future[Exception | None] | None:
        """What to wait for, or None when the caller is the one to ask."""
        with self._lock:
            if self._asking is None:
                self._asking = Future()
                return None
            return self._asking

    def _settle(self, failure: Exception | None) -> None:
        with self._lock:
            asking, self._asking = self._asking, None
        if asking is not None:
            asking.set_result(failure)


def _runs_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
