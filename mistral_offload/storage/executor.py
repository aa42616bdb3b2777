"""Base of every store: its threads, its request slots, its process, and closing it once."""

from __future__ import annotations

import asyncio
import contextvars
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import ClassVar, ParamSpec, TypeVar

from typing_extensions import Self

from mistral_offload.errors import StorageConfigError, StoreClosedError
from mistral_offload.storage.background import BackgroundQueue

P = ParamSpec("P")
T = TypeVar("T")


class StoreExecutor:
    """Owns a store's threads, limits its concurrent requests, and closes once.

    Threads start with the first ``…_async`` call. A store that is dropped without being closed
    releases its threads as well: an executor ends its threads when it is collected, and nothing
    that waits in them refers to the store.

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
        self._slots = threading.BoundedSemaphore(connections)
        self._threads: ThreadPoolExecutor | None = None
        self._background = BackgroundQueue(
            f"mistral-offload-{self.provider}",
            closing=self._closing,
            slots=self._slots,
            connections=connections,
        )
        self._thread_ids: set[int] = set()

    @property
    def container(self) -> str:
        """The bucket, container or directory."""
        return self._container

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
        is already running runs to its end.

        Raises:
            StoreClosedError: the store is closed.
        """
        self._require_open()  # before the lock: another thread may have held it during a fork
        context = contextvars.copy_context()

        def work() -> T:
            return context.run(function, *args, **kwargs)

        with self._lock:
            self._require_open()
            if self._threads is None:
                self._threads = ThreadPoolExecutor(
                    self._connections,
                    thread_name_prefix=f"mistral-offload-{self.provider}",
                    initializer=_add_current_thread,
                    initargs=(self._thread_ids,),
                )
            future = self._threads.submit(work)
        return await asyncio.wrap_future(future)

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
        for _ in range(self._connections):
            self._slots.acquire()
        self._close_connections()
        self._slots.release(self._connections)

    async def close_async(self) -> None:
        """Async form of `close`; runs in a thread."""
        await asyncio.to_thread(self.close)

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


def _add_current_thread(thread_ids: set[int]) -> None:
    thread_ids.add(threading.get_ident())
