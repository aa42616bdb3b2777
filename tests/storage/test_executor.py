"""Threads, event loops, forks and closing of a store, run unchanged against each backend."""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import gc
import os
import signal
import threading
import time
import warnings
import weakref
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from mistral_offload.errors import StorageConfigError, StoreClosedError
from mistral_offload.storage import BlobStore, MemoryStore
from tests.bounds import PATIENCE_SECONDS, Threads, join, until, wait_until, within
from tests.storage.backends import Backend


def every_use(store: BlobStore) -> list[Callable[[], object]]:
    async def listed() -> list[object]:
        return [blob async for blob in store.list_async()]

    return [
        lambda: store.put("k", b""),
        lambda: store.get("k"),
        lambda: store.stat("k"),
        lambda: store.delete("k"),
        lambda: store.list(),
        lambda: store.run(os.getpid),
        lambda: contextlib.ExitStack().enter_context(store),
        lambda: asyncio.run(store.put_async("k", b"")),
        lambda: asyncio.run(store.get_async("k")),
        lambda: asyncio.run(store.stat_async("k")),
        lambda: asyncio.run(store.delete_async("k")),
        lambda: asyncio.run(listed()),
        lambda: asyncio.run(store.run_async(os.getpid)),
        lambda: asyncio.run(store.__aenter__()),
    ]


def test_a_closed_store_says_so(store: BlobStore, root: str) -> None:
    store.put(f"{root}/k", b"data")
    listing = store.list()
    store.close()
    store.close()
    assert store.closed
    uses: list[Callable[[], object]] = [*every_use(store), lambda: next(listing)]
    for use in uses:
        with pytest.raises(StoreClosedError, match="closed"):
            use()


async def test_context_managers_close(backend: Backend, root: str) -> None:
    with backend.open() as store:
        store.put(f"{root}/k", b"data")
    assert store.closed
    async with backend.open() as store:
        await store.put_async(f"{root}/k2", b"data")
    assert store.closed
    await store.close_async()


def test_a_forked_child_is_told_to_open_its_own(store: BlobStore, root: str) -> None:
    store.put(f"{root}/k", b"data")
    asyncio.run(store.get_async(f"{root}/k"))
    assert in_child(lambda: _told(store)) == "told"
    assert not store.closed
    assert store.get(f"{root}/k") == b"data"
    assert asyncio.run(store.get_async(f"{root}/k")) == b"data"


def _told(store: BlobStore) -> str:
    store.close()
    for number, use in enumerate(every_use(store)):
        try:
            use()
        except StoreClosedError as error:
            if "fork" not in str(error):
                return f"use {number}: {error}"
        else:
            return f"use {number} passed"
    return "told" if store.closed else "not closed"


def in_child(work: Callable[[], str]) -> str:
    """Return the function's result from a forked child."""
    read, write = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # 3.12: fork with threads
        child = os.fork()
    if child == 0:
        try:
            os.write(write, work().encode())
        except BaseException as error:
            os.write(write, repr(error).encode())
        finally:
            os._exit(0)
    os.close(write)
    timer = threading.Timer(PATIENCE_SECONDS, os.kill, [child, signal.SIGKILL])
    timer.start()
    with open(read, "rb") as answer:
        said = answer.read().decode()
    os.waitpid(child, 0)
    timer.cancel()
    return said


def test_several_threads_and_event_loops_share_one_store(backend: Backend, root: str) -> None:
    store = backend.open(connections=8)

    def blocking(number: int) -> None:
        for turn in range(2):
            key = f"{root}/thread-{number}-{turn}"
            store.put(key, key.encode())
            assert store.get(key) == key.encode()

    async def awaiting(number: int) -> None:
        async def one(turn: int) -> None:
            key = f"{root}/loop-{number}-{turn}"
            await store.put_async(key, key.encode())
            assert await store.get_async(key) == key.encode()

        await within(asyncio.gather(*(one(turn) for turn in range(10))))

    def loop(number: int) -> None:
        asyncio.run(awaiting(number))

    with Threads() as threads:
        running = [threads.submit(blocking, number) for number in range(50)]
        running += [threads.submit(loop, number) for number in range(3)]
        for done in running:
            done.result()
    assert len(list(store.list(f"{root}/"))) == 50 * 2 + 3 * 10


async def test_run_async_hops_to_the_stores_threads(store: BlobStore) -> None:
    told: contextvars.ContextVar[str] = contextvars.ContextVar("told")
    told.set("by the caller")

    def work(number: int, *, word: str) -> tuple[str, str, str]:
        return threading.current_thread().name, told.get(), word * number

    name, heard, said = await store.run_async(work, 2, word="ab")
    assert name.startswith(f"mistral-offload-{store.provider}")
    assert (heard, said) == ("by the caller", "abab")
    assert store.run(work, 2, word="ab")[0] == threading.current_thread().name


async def test_run_async_hands_errors_on(store: BlobStore) -> None:
    with pytest.raises(ZeroDivisionError):
        await store.run_async(lambda: 1 // 0)


async def test_a_hop_can_use_the_store(store: BlobStore, root: str) -> None:
    def both(number: int) -> bytes:
        store.put(f"{root}/{number}", b"data")
        return store.get(f"{root}/{number}")

    many = await within(asyncio.gather(*(store.run_async(both, n) for n in range(40))))
    assert set(many) == {b"data"}


def test_a_dropped_store_gives_its_threads_back(backend: Backend, root: str) -> None:
    before = set(threading.enumerate())
    store = backend.make(None, 4)  # a store from open() would be kept
    asyncio.run(store.put_async(f"{root}/k", b"data"))
    threads = [thread for thread in threading.enumerate() if thread not in before]
    assert threads
    dropped = weakref.ref(store)
    gc.disable()
    try:
        del store
        # The thread lets go of its last call a moment after it; or the store is part of a cycle.
        wait_until(lambda: dropped() is None)
    finally:
        gc.enable()
    for thread in threads:
        join(thread)


class HeldStore(MemoryStore):
    """Delays every get, and records the largest number of concurrent gets."""

    def __init__(self, connections: int) -> None:
        super().__init__(connections=connections)
        self.running = 0
        self.most = 0
        self.released = threading.Event()

    def _get(self, key: str) -> bytes:
        with self._state_lock:
            self.running += 1
            self.most = max(self.most, self.running)
        assert self.released.wait(PATIENCE_SECONDS)
        with self._state_lock:
            self.running -= 1
        return super()._get(key)


def test_operations_take_turns_in_both_colours() -> None:
    store = HeldStore(connections=3)
    store.put("k", b"data")

    async def awaiting() -> None:
        await within(asyncio.gather(*(store.get_async("k") for _ in range(8))))

    with Threads() as threads:
        running: list[Future[object]] = [threads.submit(store.get, "k") for _ in range(8)]
        running.append(threads.submit(lambda: asyncio.run(awaiting())))
        wait_until(lambda: store.running == 3)
        time.sleep(0.1)  # a fourth would come meanwhile
        store.released.set()
        for done in running:
            done.result()
    assert store.most == 3
    assert store.requests["get", "k"] == 16
    store.close()


def test_close_lets_running_operations_end_and_refuses_waiting_ones() -> None:
    store = HeldStore(connections=1)
    store.put("k", b"data")

    async def scene() -> list[object]:
        calls = [asyncio.ensure_future(store.get_async("k")) for _ in range(4)]
        await until(lambda: store.running)
        closing = asyncio.ensure_future(store.close_async())
        await until(lambda: store.closed)
        store.released.set()
        await within(closing)
        return await within(asyncio.gather(*calls, return_exceptions=True))

    first, *others = asyncio.run(scene())
    assert first == b"data"
    assert [type(other) for other in others] == [StoreClosedError] * 3


async def test_a_store_may_be_closed_in_its_own_thread(store: BlobStore) -> None:
    await within(store.run_async(store.close))
    assert store.closed


async def test_a_cancelled_call_that_waits_is_given_up() -> None:
    store = HeldStore(connections=1)
    store.put("k", b"data")
    running = asyncio.ensure_future(store.get_async("k"))
    await until(lambda: store.running)
    waiting = asyncio.ensure_future(store.get_async("k"))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await within(waiting)
    store.released.set()
    assert await within(running) == b"data"
    await store.close_async()
    assert store.requests["get", "k"] == 1


class HangingStore(MemoryStore):
    """Responds to reads of ``hung`` only when released; ``reading`` counts those that wait."""

    def __init__(self, connections: int) -> None:
        super().__init__(connections=connections)
        self.reading = threading.Semaphore(0)
        self.released = threading.Event()

    def _get(self, key: str) -> bytes:
        if key == "hung":
            self.reading.release()
            assert self.released.wait(30)
        return super()._get(key)


async def cancel_hung_reads(store: HangingStore, number: int) -> None:
    calls = [asyncio.ensure_future(store.get_async("hung")) for _ in range(number)]
    for _ in calls:
        assert await asyncio.to_thread(store.reading.acquire, timeout=10)
    for call in calls:
        call.cancel()
    await within(asyncio.gather(*calls, return_exceptions=True))
    assert all(call.cancelled() for call in calls)


async def test_cancelled_calls_that_run_give_their_places_back() -> None:
    store = HangingStore(connections=2)
    store.put("k", b"data")
    store.put("hung", b"late")
    await cancel_hung_reads(store, 2)
    reads = [store.get_async("k") for _ in range(20)]
    assert await within(asyncio.gather(*reads)) == [b"data"] * 20
    assert await asyncio.to_thread(store.get, "k") == b"data"  # the request's slot, too
    store.released.set()
    assert await within(store.get_async("hung")) == b"late"
    await within(store.close_async())


async def test_no_more_calls_are_abandoned_than_there_are_connections() -> None:
    store = HangingStore(connections=2)
    store.put("k", b"data")
    store.put("hung", b"late")
    before = set(threading.enumerate())
    await cancel_hung_reads(store, 2)
    await cancel_hung_reads(store, 2)
    waiting = asyncio.ensure_future(store.get_async("k"))
    await asyncio.sleep(0.2)
    assert not waiting.done()
    own = [each for each in set(threading.enumerate()) - before if "mistral" in each.name]
    assert len(own) == 4
    store.released.set()
    assert await within(waiting) == b"data"
    # Back to the usual number of concurrent operations.
    store.released.clear()
    more = [asyncio.ensure_future(store.get_async("hung")) for _ in range(4)]
    await asyncio.sleep(0.2)
    assert store.reading.acquire(blocking=False)
    assert store.reading.acquire(blocking=False)
    assert not store.reading.acquire(blocking=False)
    store.released.set()
    assert await within(asyncio.gather(*more)) == [b"late"] * 4
    await within(store.close_async())


async def test_close_waits_for_abandoned_calls() -> None:
    store = HangingStore(connections=1)
    store.put("hung", b"late")
    await cancel_hung_reads(store, 1)
    await cancel_hung_reads(store, 1)
    closing = asyncio.ensure_future(store.close_async())
    await asyncio.sleep(0.1)
    assert not closing.done()
    store.released.set()
    await within(closing)


def test_a_constructor_needs_no_loop_and_starts_nothing(backend: Backend) -> None:
    before = set(threading.enumerate())
    backend.open()
    assert set(threading.enumerate()) <= before


def test_a_store_needs_a_connection() -> None:
    with pytest.raises(StorageConfigError, match="at least 1"):
        MemoryStore(connections=0)


def test_no_blob_is_kept_alive_by_an_error() -> None:
    class Broken(MemoryStore):
        def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
            raise OSError("no")

        def _translate_error(
            self, error: Exception, operation: str, key: str | None
        ) -> StoreClosedError:
            return StoreClosedError("x", provider="p", container="c", key=key)

    class Blob(bytes):
        pass

    store = Broken()
    blob = Blob(1000)
    kept = weakref.ref(store)
    gc.disable()
    try:
        with pytest.raises(StoreClosedError) as caught:
            store.put("k", blob)
        assert isinstance(caught.value.__cause__, OSError)
        assert caught.value.__context__ is None
        del caught
        del store, blob
        assert kept() is None
    finally:
        gc.enable()
