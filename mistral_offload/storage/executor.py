"""Base of every store: its threads, its request slots, its process, and closing it once."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any, ClassVar, Generic, ParamSpec, TypeVar

from typing_extensions import Self

from mistral_offload._event_loops import is_exiting, require_event_loop, run_in_thread_async
from mistral_offload.errors import StorageConfigError, StoreClosedError
from mistral_offload.storage.background import BackgroundQueue
from mistral_offload.storage.request_slots import RequestSlots

P = ParamSpec("P")
T = TypeVar("T")


class StoreExecutor:
    """Owns a store's threads, limits its concurrent requests, and closes once.

    Threads start with the first ``…_async`` call. A store that is dropped without being closed
    releases its threads as well: an executor ends its threads when it is collected, and nothing
    that waits in them refers to the store.

    A blocking call cannot be interrupted. One whose caller was cancelled while it ran is abandoned:
    it runs to its end, bounded by the timeouts of its requests, and an additional thread and
    request slot take its place until then. So it delays no other call, and what it reads still
    serves the next caller. At most ``connections`` calls are abandoned at a time; further ones keep
    their places until they end.

    Attributes:
        provider: ``s3``, ``azure``, ``gcs``, ``local`` or ``memory``.
    """

    provider: ClassVar[str]

    def __init__(self, container: str, connections: int) -> None:
        if connections < 1:
            raise StorageConfigError(f"a store needs at least 1 connection, not {connections}")
        self._container = container
        self._connections = connections
        self._pid = os.getpid()
        self._closed = False
        self._closing = threading.Event()
        self._lock = threading.Lock()
        self._slots = RequestSlots(connections)
        self._threads: ThreadPoolExecutor | None = None
        self._background = BackgroundQueue(
            f"mistral-offload-{self.provider}",
            closing=self._closing,
            slots=self._slots,
            connections=connections,
        )
        self._thread_ids: set[int] = set()
        self._waiting: deque[_Call[Any]] = deque()
        self._running_pooled = 0
        self._running_extra = 0
        self._abandoned = 0

    @property
    def container(self) -> str:
        """The bucket, container or directory."""
        return self._container

    @property
    def connections(self) -> int:
        """Number of requests that can run at a time."""
        return self._connections

    @property
    def closed(self) -> bool:
        """True after `close`, and in a process forked from the one that opened the store."""
        return self._closed or os.getpid() != self._pid

    def run(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a function in the current thread; the sync form of `run_async`.

        Raises:
            StoreClosedError: the store is closed.
        """
        self._require_open()
        return function(*args, **kwargs)

    async def run_async(self, function: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Call a blocking function in the store's own threads.

        For work that belongs to a store operation, such as hashing what is put: several blocking
        calls in one hop. Cancelling the task drops a call that still waits for a thread; one that
        is already running runs to its end, but no longer counts as one of the store's operations.

        While the interpreter exits, no thread can be started, and the function runs in place.

        Raises:
            StoreClosedError: the store is closed.
            EventLoopError: no asyncio event loop runs, for example under trio.
        """
        require_event_loop()
        self._require_open()  # before the lock: another thread may have held it during a fork
        context = contextvars.copy_context()
        call: _Call[T] = _Call(lambda: context.run(function, *args, **kwargs))
        with self._lock:
            self._require_open()
            self._waiting.append(call)
            without_thread = self._start_waiting()
        for each, pooled in without_thread:
            self._run_calls(each, pooled=pooled)
        try:
            return await asyncio.wrap_future(call.future)
        except asyncio.CancelledError:
            self._abandon(call)
            raise

    def _start_waiting(self) -> list[tuple[_Call[Any], bool]]:
        """Start as many waiting calls as there are places. The lock is held.

        Returns:
            Arguments of `_run_calls` for calls that the caller has to run after it has released
            the lock, because the interpreter is exiting and starts no threads.
        """
        without_thread: list[tuple[_Call[Any], bool]] = []
        while self._running_pooled + self._running_extra < self._connections + self._abandoned:
            call = self._take_waiting()
            if call is None:
                break
            pooled = self._running_pooled < self._connections
            if pooled:
                self._running_pooled += 1
            else:
                self._running_extra += 1
            try:
                self._start_thread(call, pooled=pooled)
            except RuntimeError:
                if not is_exiting():
                    raise
                without_thread.append((call, pooled))
        return without_thread

    def _start_thread(self, call: _Call[Any], *, pooled: bool) -> None:
        """Run a call in a thread of the pool, or in an additional one.

        Raises:
            RuntimeError: no thread can be started.
        """
        if pooled:
            self._pool().submit(self._run_calls, call, pooled=True)
            return
        threading.Thread(
            target=self._run_calls,
            args=(call,),
            kwargs={"pooled": False},
            name=f"mistral-offload-{self.provider}-extra",
        ).start()

    def _take_waiting(self) -> _Call[Any] | None:
        while self._waiting:
            call = self._waiting.popleft()
            if call.future.set_running_or_notify_cancel():
                return call
        return None

    def _pool(self) -> ThreadPoolExecutor:
        if self._threads is None:
            self._threads = ThreadPoolExecutor(
                self._connections, thread_name_prefix=f"mistral-offload-{self.provider}"
            )
        return self._threads

    def _run_calls(self, call: _Call[Any] | None, *, pooled: bool) -> None:
        """Run a call, and then waiting ones as long as there is a place for this thread."""
        self._thread_ids.add(threading.get_ident())
        while call is not None:
            call.run()
            with self._lock:
                if call.is_abandoned:
                    self._abandoned -= 1
                    self._slots.add(-1)
                running = self._running_pooled + self._running_extra
                has_place = running <= self._connections + self._abandoned
                call = self._take_waiting() if has_place else None
                if call is None and pooled:
                    self._running_pooled -= 1
                elif call is None:
                    self._running_extra -= 1
        if not pooled:
            self._thread_ids.discard(threading.get_ident())

    def _abandon(self, call: _Call[Any]) -> None:
        """Give the place of a call whose caller was cancelled to another one."""
        with self._lock:
            if not call.future.running() or self._abandoned == self._connections:
                return
            call.is_abandoned = True
            self._abandoned += 1
            self._slots.add(1)
            without_thread = self._start_waiting()
        for each, pooled in without_thread:
            self._run_calls(each, pooled=pooled)

    def run_in_background(self, work: Callable[[], None]) -> bool:
        """Call a function later, in a thread of the store that no caller waits for.

        It must not raise. It is dropped when the store is closed, and if too many already wait.

        Returns:
            False if it is dropped right away.
        """
        return not self.closed and self._background.add(work)

    def close(self) -> None:
        """Wait for running operations, then release threads and connections; idempotent.

        Operations that wait for a slot, and every later use, raise StoreClosedError.
        """
        if os.getpid() != self._pid:  # threads and connections are the parent's
            return
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._closing.set()
            threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=threading.get_ident() not in self._thread_ids)
        self._slots.wait_until_unused()
        self._close_connections()

    async def close_async(self) -> None:
        """Async form of `close`; runs in a thread."""
        await run_in_thread_async(self.close)

    def __enter__(self) -> Self:
        self._require_open()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        require_event_loop()
        return self.__enter__()

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.close_async()

    def _close_connections(self) -> None:
        """Close connections. Called once, while no operation is running."""

    def _require_open(self, key: str | None = None) -> None:
        if os.getpid() != self._pid:
            text = (
                f"this store belongs to process {self._pid}, and this is process {os.getpid()}, "
                "forked from it: open a store after the fork"
            )
        elif self._closed:
            text = "this store is closed: open another one, or close this one later"
        else:
            return
        raise StoreClosedError(text, provider=self.provider, container=self._container, key=key)


class _Call(Generic[T]):
    """A blocking call.

    Attributes:
        future: its result.
        is_abandoned: True if its caller was cancelled and its place was given away.
    """

    def __init__(self, function: Callable[[], T]) -> None:
        self._function = function
        self.future: Future[T] = Future()
        self.is_abandoned = False

    def run(self) -> None:
        try:
            result = self._function()
        except BaseException as error:
            self.future.set_exception(error)
            # The error refers to this frame, and the future to the error.
            self = None  # type: ignore[assignment]
        else:
            self.future.set_result(result)
