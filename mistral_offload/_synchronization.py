"""The operations that differ between async and sync code, each as a pair ``foo_async``/``foo``.

Sleeping, reading a response body, checking the event loop, limiting concurrency, working on items
side by side and fetching a value once. The generated code calls the second of each pair.
"""

from __future__ import annotations

import asyncio
import contextvars
import sys
import threading
import time
import warnings
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Sequence
from concurrent.futures import Future
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Generic, TypeVar, cast
from weakref import WeakKeyDictionary

import httpx

from mistral_offload import _forks
from mistral_offload._event_loops import require_event_loop, running_loop
from mistral_offload._gather import gather_or_cancel

T = TypeVar("T")

_NO_ITEM = object()


async def sleep_async(seconds: float) -> None:
    """Pause this task and let others run."""
    await asyncio.sleep(seconds)


def sleep(seconds: float) -> None:
    """Pause this thread."""
    time.sleep(seconds)


_PACKAGE = "mistral_offload."
_has_warned = False


async def check_event_loop_async() -> None:
    """Check that an asyncio event loop runs.

    Raises:
        EventLoopError: the caller runs under another library, such as trio.
    """
    require_event_loop()


def check_event_loop() -> None:
    """Warn, once per process, if a blocking method runs in the thread of a running event loop.

    Raises:
        RuntimeWarning: if warnings are turned into errors.
    """
    global _has_warned
    if _has_warned or running_loop() is None:
        return
    _has_warned = True
    frame, depth, method = sys._getframe(1), 1, ""  # pyright: ignore[reportPrivateUsage]
    while frame.f_globals.get("__name__", "").startswith(_PACKAGE):
        method = frame.f_code.co_name
        if frame.f_back is None:
            break
        frame, depth = frame.f_back, depth + 1
    warnings.warn(
        f"{method}() blocks the event loop running in this thread, with all its tasks, until the "
        f"response arrives: in async code, use await {method}_async() instead",
        RuntimeWarning,
        stacklevel=depth + 1,
    )


async def read_body_async(response: httpx.Response) -> None:
    """Read the whole body of a response opened as a stream, and close the response."""
    try:
        await response.aread()
    except BaseException:
        await response.aclose()
        raise


def read_body(response: httpx.Response) -> None:
    """Read the whole body of a response opened as a stream, and close the response."""
    try:
        response.read()
    except BaseException:
        response.close()
        raise


async def iterate_body_async(response: httpx.Response) -> AsyncGenerator[bytes, None]:
    """Yield the body of a response as it arrives; close the response when iteration stops."""
    try:
        async for chunk in response.aiter_bytes():
            yield chunk
    finally:
        await response.aclose()


def iterate_body(response: httpx.Response) -> Generator[bytes, None, None]:
    """Yield the body of a response as it arrives; close the response when iteration stops."""
    try:
        yield from response.iter_bytes()
    finally:
        response.close()


async def for_each_async(
    items: Sequence[T], work: Callable[[T], Awaitable[None]], *, limit: int
) -> None:
    """Await ``work`` for every item, for at most ``limit`` of them at a time.

    The first error cancels the rest, and is raised.
    """
    remaining = iter(items)

    async def work_off() -> None:
        for item in remaining:
            await work(item)

    if items:
        await gather_or_cancel([work_off() for _ in range(min(limit, len(items)))])


def for_each(items: Sequence[T], work: Callable[[T], None], *, limit: int) -> None:
    """Call ``work`` for every item, for at most ``limit`` of them at a time, each in a thread.

    The first error keeps further calls from being made, and is raised.
    """
    if len(items) < 2:
        for item in items:
            work(item)
        return
    remaining, lock, failures = iter(items), threading.Lock(), list[BaseException]()

    def work_off() -> None:
        while not failures:
            with lock:
                item = next(remaining, _NO_ITEM)
            if item is _NO_ITEM:
                return
            try:
                work(cast("T", item))
            except BaseException as error:
                failures.append(error)

    threads: list[threading.Thread] = []
    try:
        for _ in range(min(limit, len(items)) - 1):
            run = partial(contextvars.copy_context().run, work_off)
            thread = threading.Thread(target=run, name="mistral-offload-read", daemon=True)
            thread.start()
            threads.append(thread)
    except RuntimeError:
        pass  # the interpreter exits: this thread does the work
    try:
        work_off()
        for thread in threads:
            thread.join()
    except BaseException as error:  # Ctrl-C
        failures.append(error)
        raise
    if failures:
        raise failures[0]


class LoopLimiter:
    """Limits how many tasks of one event loop do thread-backed work at a time.

    The threads that do the work compete with the loop for the interpreter lock. Tasks enter one
    after the other and yield to the loop in between, so that many of them starting at once do not
    stall it. Blocking callers bring their own threads and are not limited.

    Args:
        size: tasks admitted at a time, per event loop.
    """

    def __init__(self, size: int) -> None:
        self._size = size
        self._per_loop: WeakKeyDictionary[object, tuple[asyncio.Semaphore, asyncio.Lock]] = (
            WeakKeyDictionary()
        )

    @asynccontextmanager
    async def slot_async(self) -> AsyncGenerator[None, None]:
        """Wait for a free slot, and release it on exit."""
        loop = asyncio.get_running_loop()
        if loop not in self._per_loop:
            self._per_loop[loop] = asyncio.Semaphore(self._size), asyncio.Lock()
        slots, entrance = self._per_loop[loop]
        async with slots:
            async with entrance:
                await asyncio.sleep(0)
            yield

    @contextmanager
    def slot(self) -> Generator[None, None, None]:
        """Enter at once: blocking callers are not limited."""
        yield


class FetchOnce(Generic[T]):
    """A value fetched on first use and then kept, shared by tasks, threads and event loops.

    The first caller fetches; the others wait for its result. A failure is raised to every waiting
    caller and then forgotten, so that the next caller fetches again.

    Args:
        value: the value, if it is known already; nothing is fetched then.
    """

    def __init__(self, value: T | None = None) -> None:
        self._value = value
        self._lock = threading.Lock()
        self._in_flight: Future[Exception | None] | None = None
        _forks.register(self)

    def begin_anew(self) -> None:
        """Forget a fetch that a thread of the parent process has in flight."""
        self._lock = threading.Lock()
        self._in_flight = None

    async def get_async(self, fetch: Callable[[], Awaitable[T]]) -> T:
        """Return the value; call ``fetch`` if no caller has fetched it yet."""
        while self._value is None:
            in_flight = self._join()
            if in_flight is not None:
                # Shielded: cancelling one waiting task must not cancel the others' future.
                failure = await asyncio.shield(asyncio.wrap_future(in_flight))
                if failure is not None:
                    raise failure
                continue
            try:
                self._value = await fetch()
            except Exception as error:
                self._finish(error)
                raise
            except BaseException:  # this caller was cancelled; a waiting one fetches instead
                self._finish(None)
                raise
            self._finish(None)
        return self._value

    def get(self, fetch: Callable[[], T]) -> T:
        """Return the value; call ``fetch`` if no caller has fetched it yet."""
        while self._value is None:
            if running_loop() is not None:
                # A task of this very thread may be fetching; waiting for it would never end.
                self._value = fetch()
                break
            in_flight = self._join()
            if in_flight is not None:
                failure = in_flight.result()
                if failure is not None:
                    raise failure
                continue
            try:
                self._value = fetch()
            except Exception as error:
                self._finish(error)
                raise
            except BaseException:  # this caller was interrupted; a waiting one fetches instead
                self._finish(None)
                raise
            self._finish(None)
        return self._value

    def _join(self) -> Future[Exception | None] | None:
        """Return the fetch in flight; None makes the caller the one that fetches."""
        with self._lock:
            if self._in_flight is None:
                self._in_flight = Future()
                return None
            return self._in_flight

    def _finish(self, failure: Exception | None) -> None:
        with self._lock:
            in_flight, self._in_flight = self._in_flight, None
        if in_flight is not None:
            in_flight.set_result(failure)
