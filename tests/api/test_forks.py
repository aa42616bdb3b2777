"""A client that was used before a fork: each process has connections and locks of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from mistral_offload import Mistral
from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import APITimeoutError, ConfigurationError, StoreClosedError
from mistral_offload.payload.context import PayloadContext
from mistral_offload.storage import MemoryStore
from mistral_offload.storage.lazy_cache import LazyCache
from tests.api.keep_alive import KeepAlivePlatform
from tests.bounds import PATIENCE_SECONDS, Threads, until, wait_until, within
from tests.storage.test_executor import in_child


@pytest.fixture
def platform() -> Iterator[KeepAlivePlatform]:
    with KeepAlivePlatform() as running:
        yield running


@pytest.fixture
def client(platform: KeepAlivePlatform) -> Iterator[Mistral]:
    with Mistral(api_key="key", server_url=platform.url) as opened:
        yield opened


def name_told(client: Mistral, who: str, timeout_ms: int = 20_000) -> str | None:
    """Return the name that the platform takes this caller for."""
    found = client.workflows.get_workflow_registrations(
        http_headers={"x-who": who}, retries=None, timeout_ms=timeout_ms
    )
    return found.next_cursor


async def name_told_async(client: Mistral, who: str) -> str | None:
    found = await within(
        client.workflows.get_workflow_registrations_async(http_headers={"x-who": who}, retries=None)
    )
    return found.next_cursor


def test_no_process_reads_the_response_of_another(client: Mistral) -> None:
    assert name_told(client, "before") == "before"

    def give_up() -> str:
        with pytest.raises(APITimeoutError):
            name_told(client, "slow child", timeout_ms=100)
        return "gave up"

    assert in_child(give_up) == "gave up"
    assert name_told(client, "parent") == "parent"


def test_both_use_the_client_at_the_same_time(client: Mistral) -> None:
    name_told(client, "before")

    def use(who: str) -> str:
        names = [f"{who} {number}" for number in range(8)]
        told = [name_told(client, name) for name in names]
        told_async = [asyncio.run(name_told_async(client, name)) for name in names]
        return "right" if told == told_async == names else f"{told} {told_async}"

    with Threads() as threads:
        children = [threads.submit(in_child, lambda: use("child")) for _ in range(2)]
        assert use("parent") == "right"
        assert [child.result() for child in children] == ["right", "right"]


async def test_a_child_of_a_running_loop_has_its_own_loop_and_connections(
    client: Mistral,
) -> None:
    assert await name_told_async(client, "before") == "before"
    child = await asyncio.to_thread(
        in_child, lambda: asyncio.run(name_told_async(client, "child")) or ""
    )
    assert child == "child"
    assert await name_told_async(client, "parent") == "parent"


def test_a_childs_connections_are_its_own_and_closing_them_leaves_the_parents_open(
    client: Mistral, platform: KeepAlivePlatform
) -> None:
    name_told(client, "before")

    def use_and_close() -> str:
        name_told(client, "child")
        client.close()
        return "closed"

    assert in_child(use_and_close) == "closed"
    assert platform.opened == 2
    assert name_told(client, "parent") == "parent"
    assert platform.opened == 2


def test_locks_and_fetches_of_other_threads_do_not_hold_a_child_up(
    platform: KeepAlivePlatform, tmp_path: Path
) -> None:
    storage = BlobStorageConfig(storage_provider="local", path=tmp_path)
    offloading = PayloadOffloadingConfig(storage_config=storage, min_size_bytes=10)
    entered, release = threading.Event(), threading.Event()

    def fetch() -> str:
        entered.set()
        release.wait(PATIENCE_SECONDS)
        return "ns"

    with Mistral(
        api_key="key", server_url=platform.url, workflow_payload_offloading=offloading
    ) as client:
        name_told(client, "before")
        connection = client._connection  # pyright: ignore[reportPrivateUsage]
        context = PayloadContext("ns", "e")
        connection.encoder.encode_value("x" * 100, context)
        lazy = connection.encoder._offloader._blobs  # type: ignore[union-attr]  # pyright: ignore
        cache = lazy.open()

        def use() -> str:
            namespace = connection.namespace.get(lambda: "the child's")
            payload = connection.encoder.encode_value("y" * 100, context)
            value = connection.encoder.decode_value(payload)
            told = name_told(client, "child")
            with connection.held_requests.hold(request_timeout=10, limit=None):
                pass
            return f"{namespace} {told} {value == 'y' * 100}"

        with Threads() as threads:
            fetching = threads.submit(connection.namespace.get, fetch)
            assert entered.wait(PATIENCE_SECONDS)
            with (
                client._lock,  # pyright: ignore[reportPrivateUsage]
                connection.http_clients._lock,  # pyright: ignore[reportPrivateUsage]
                connection.held_requests._lock,  # pyright: ignore[reportPrivateUsage]
                lazy._lock,  # pyright: ignore
                cache._lock,  # pyright: ignore[reportPrivateUsage]
                cache.store._lock,  # pyright: ignore[reportPrivateUsage]
            ):
                assert in_child(use) == "the child's child True"
            release.set()
            assert fetching.result() == "ns"
        assert lazy.open() is cache


def test_a_store_that_was_passed_in_refuses_to_work_in_a_child() -> None:
    lazy = LazyCache(None, MemoryStore())
    lazy.open().store.put("k", b"parent")

    def use() -> str:
        with pytest.raises(StoreClosedError, match="open a store after the fork"):
            lazy.open().store.get("k")
        return "refused"

    assert in_child(use) == "refused"


def test_an_http_client_that_was_passed_in_is_refused_in_a_child(
    platform: KeepAlivePlatform,
) -> None:
    with httpx.Client() as given, httpx.Client() as unused:
        client = Mistral(api_key="key", server_url=platform.url, client=given)
        other = Mistral(api_key="key", server_url=platform.url, client=unused)
        name_told(client, "before")

        def use() -> str:
            with pytest.raises(ConfigurationError, match="created after the fork"):
                name_told(client, "child")
            return name_told(other, "child") or ""

        assert in_child(use) == "child"
        assert name_told(client, "parent") == "parent"


def test_a_stream_is_refused_in_a_child(client: Mistral) -> None:
    stream = client.workflows.executions.stream("e")

    def use() -> str:
        with pytest.raises(ConfigurationError, match="open one after the fork"):
            next(stream)
        return "refused"

    assert in_child(use) == "refused"
    assert list(stream) == []


def test_every_event_loop_closes_its_connections(
    client: Mistral, platform: KeepAlivePlatform
) -> None:
    for number in range(5):
        assert asyncio.run(name_told_async(client, f"loop {number}")) == f"loop {number}"
    wait_until(lambda: platform.open == 0)
    assert platform.opened == 5


@pytest.mark.parametrize("from_loop", [False, True])
def test_closing_from_either_side_closes_all(
    client: Mistral, platform: KeepAlivePlatform, from_loop: bool
) -> None:
    used, closed = threading.Event(), threading.Event()

    async def use_and_stay() -> None:
        await name_told_async(client, "loop of another thread")
        used.set()
        await until(closed.is_set)

    idle = asyncio.new_event_loop()
    with Threads() as threads:
        name_told(client, "blocking")
        idle.run_until_complete(name_told_async(client, "idle loop"))
        running = threads.submit(asyncio.run, use_and_stay())
        assert used.wait(PATIENCE_SECONDS)
        assert platform.open == 3

        async def close() -> None:
            await name_told_async(client, "this loop")
            await within(client.close_async())

        if from_loop:
            asyncio.run(close())
        else:
            client.close()
        wait_until(lambda: platform.open == 0)
        closed.set()
        running.result()
    assert name_told(client, "again") == "again"
    idle.close()


async def test_closing_blockingly_in_a_loop_closes_its_connections_soon(
    client: Mistral, platform: KeepAlivePlatform
) -> None:
    await name_told_async(client, "loop")
    client.close()
    await until(lambda: not platform.open)
    assert await name_told_async(client, "again") == "again"
