"""What differs by colour: sleeping, reading, the scope of a connection pool, asking only once."""

from __future__ import annotations

import asyncio
import sys
import threading
import time
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from typing import Generic, TypeVar
from weakref import WeakKeyDictionary

import httpx

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
_PACKAGE = "mistral_offload."
_has_warned = False


async def scope_async() -> object:
    """What a connection pool may be shared within: the running event loop."""
    return asyncio.get_running_loop()


def scope() -> object:
    """What a connection pool may be shared within: the process, all threads of it."""
    return _PROCESS


async def warn_if_in_loop_async() -> None:
    """Nothing: an event loop is where this colour belongs."""


def warn_if_in_loop() -> None:
    """Warn, once, when the caller's method blocks an event loop that runs in this thread.

    Raises:
        RuntimeWarning: when warnings are errors.
    """
    global _has_warned
    if _has_warned or not _runs_loop():
        return
    _has_warned = True
    frame, depth, method = sys._getframe(1), 1, ""  # pyright: ignore[reportPrivateUsage]
    while frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        method = frame.f_code.co_name
        if frame.f_back is None:
            break
        frame, depth = frame.f_back, depth + 1
    warnings.warn(
        f"{method}() blocks the event loop that runs in this thread, and all its tasks, until the "
        f"answer is there: inside async code, await {method}_async() instead",
        RuntimeWarning,
        stacklevel=depth + 1,
    )


async def read_body_async(response: httpx.Response) -> None:
    """Read a response that was opened as a stream, and close it."""
    await response.aread()


def read_body(response: httpx.Response) -> None:
    """Read a response that was opened as a stream, and close it."""
    response.read()


async def chunks_async(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """The body of a response as it comes; the response is closed when nobody reads on."""
    try:
        async for chunk in response.aiter_bytes():
            yield chunk
    finally:
        await response.aclose()


def chunks(response: httpx.Response) -> Generator[bytes, None, None]:
    """The body of a response as it comes; the response is closed when nobody reads on."""
    try:
        yield from response.iter_bytes()
    finally:
        response.close()


class LoopLimiter:
    """Lets a few tasks of an event loop in at a time, so that many at once do not stop the loop.

    What they do inside is done by threads, which fight with the loop for the interpreter. One is
    let in after the other, with room for other tasks between them. Blocking callers bring their
    own threads, and do not wait.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._of_loop: WeakKeyDictionary[object, tuple[asyncio.Semaphore, asyncio.Lock]] = (
            WeakKeyDictionary()
        )

    @asynccontextmanager
    async def one_async(self) -> AsyncGenerator[None, None]:
        """Wait for a turn, and give it back at the end."""
        loop = asyncio.get_running_loop()
        if loop not in self._of_loop:
            self._of_loop[loop] = asyncio.Semaphore(self._size), asyncio.Lock()
        places, door = self._of_loop[loop]
        async with places:
            async with door:
                await asyncio.sleep(0)
            yield

    @contextmanager
    def one(self) -> Generator[None, None, None]:
        """Nothing to wait for."""
        yield


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
