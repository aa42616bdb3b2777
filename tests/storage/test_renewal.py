"""Renewal: old blobs that are used become new to expiry rules, and what that costs."""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import (
    BlobNotFoundError,
    StorageAccessDeniedError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage import BlobStore, MemoryStore, open_store
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.cache_directory import CacheDirectory
from mistral_offload.storage.gcs import _written_at  # pyright: ignore[reportPrivateUsage]
from mistral_offload.storage.protection import ALWAYS, protection
from tests.bounds import PATIENCE_SECONDS, Threads, wait_until
from tests.servers.azurite import Azurite
from tests.servers.gcs import FakeGCS
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.storage.backends import azure_config, gcs_config, s3_config

DATA = b"content of a blob"
KEY = hashlib.sha256(DATA).hexdigest()


class Clock:
    """A clock that a test moves."""

    def __init__(self) -> None:
        self.moved = timedelta(0)

    def __call__(self) -> datetime:
        return datetime.now(timezone.utc) + self.moved

    def pass_days(self, days: float) -> None:
        self.moved += timedelta(days=days)


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def memory(clock: Clock) -> MemoryStore:
    store = MemoryStore()
    store.clock = clock
    return store


def counts(store: MemoryStore) -> dict[str, int]:
    """Return and clear the number of requests by operation."""
    found: dict[str, int] = {}
    for (operation, _), number in store.requests.items():
        found[operation] = found.get(operation, 0) + number
    store.requests.clear()
    return found


def await_background(store: BlobStore) -> None:
    """Wait for everything that runs in the background of a store."""
    name = f"mistral-offload-{store.provider}-background"
    wait_until(lambda: all(thread.name != name for thread in threading.enumerate()))


def age_of(store: BlobStore, key: str = KEY) -> timedelta:
    return store.now() - store.stat(key).modified


# Puts


def test_a_put_that_finds_the_blob_asks_for_its_age_once_a_day(
    memory: MemoryStore, clock: Clock
) -> None:
    memory.put(KEY, DATA)
    counts(memory)
    cache = BlobCache(memory)
    assert cache.put(KEY, DATA, KEY) is False
    assert counts(memory) == {"put": 1, "stat": 1}
    assert cache.put(KEY, DATA, KEY) is False
    assert counts(memory) == {"put": 1}
    clock.pass_days(0.5)
    assert cache.put(KEY, DATA, KEY) is False
    assert counts(memory) == {"put": 1}


def test_a_put_writes_an_old_blob_again(memory: MemoryStore, clock: Clock) -> None:
    memory.put(KEY, DATA)
    clock.pass_days(29)
    counts(memory)
    cache = BlobCache(memory)
    assert cache.put(KEY, DATA, KEY) is True
    assert counts(memory) == {"put": 2, "stat": 1}
    assert age_of(memory) < timedelta(minutes=1)
    clock.pass_days(0.9)
    counts(memory)
    assert cache.put(KEY, DATA, KEY) is False
    assert counts(memory) == {"put": 1}
    clock.pass_days(29)
    assert cache.put(KEY, DATA, KEY) is True
    assert counts(memory) == {"put": 2, "stat": 1}


def test_the_age_from_which_a_put_renews_is_a_setting(memory: MemoryStore, clock: Clock) -> None:
    memory.put(KEY, DATA)
    clock.pass_days(3)
    counts(memory)
    assert BlobCache(memory, renew_after_seconds=7 * 86400).put(KEY, DATA, KEY) is False
    assert counts(memory) == {"put": 1, "stat": 1}
    assert BlobCache(memory, renew_after_seconds=0).put(KEY, DATA, KEY) is False
    assert counts(memory) == {"put": 1}
    assert BlobCache(memory, renew_after_seconds=2 * 86400).put(KEY, DATA, KEY) is True


def test_a_put_of_a_blob_that_goes_just_then_writes_it(memory: MemoryStore) -> None:
    class Racing(MemoryStore):
        def _stat(self, key: str) -> Any:
            self.lose(key)
            return super()._stat(key)

    store = Racing()
    store.put(KEY, DATA)
    assert BlobCache(store).put(KEY, DATA, KEY) is True
    assert store.get(KEY) == DATA


@pytest.mark.parametrize("error", [StorageAccessDeniedError, StorageUnavailableError, StorageError])
def test_a_put_whose_blob_is_there_does_not_fail_for_its_age(
    memory: MemoryStore,
    clock: Clock,
    error: type[StorageError],
    caplog: pytest.LogCaptureFixture,
) -> None:
    memory.put(KEY, DATA)
    clock.pass_days(29)
    memory.fail("stat", error)
    cache = BlobCache(memory)
    for _ in range(3):
        assert cache.put(KEY, DATA, KEY) is False
    warnings = [each for each in caplog.records if each.levelno == logging.WARNING]
    assert len(warnings) == (0 if error is StorageUnavailableError else 1)


def test_a_put_that_may_not_overwrite_warns_once_and_pauses(
    memory: MemoryStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [f"{number}" for number in range(3)]
    for key in keys:
        memory.put(key, DATA)
    clock.pass_days(29)
    counts(memory)

    memory.fail("put", StorageAccessDeniedError, call=2)
    cache = BlobCache(memory)
    assert cache.put(keys[0], DATA, KEY) is False
    assert counts(memory) == {"put": 2, "stat": 1}
    assert cache.put(keys[1], DATA, KEY) is False
    assert counts(memory) == {"put": 1}  # paused: not even the age is requested
    clock.pass_days(0.1)
    assert cache.put(keys[2], DATA, KEY) is True
    assert [each.levelno for each in caplog.records].count(logging.WARNING) == 1
    assert "renew_after_seconds" in caplog.text


# The memo


def test_a_repeated_put_within_a_run_makes_no_request(memory: MemoryStore) -> None:
    cache = BlobCache(memory)
    with protection(time.monotonic()):
        assert cache.put(KEY, DATA, KEY) is True
        assert cache.put(KEY, DATA, KEY) is False
        assert counts(memory) == {"put": 1}
    with protection(time.monotonic()):  # the same id and the same input, started again
        memory.lose(KEY)
        assert cache.put(KEY, DATA, KEY) is True
    memory.lose(KEY)
    assert cache.put(KEY, DATA, KEY) is True  # a client, which knows of no run
    memory.lose(KEY)
    assert cache.put(KEY, DATA, KEY) is True


def test_bytes_in_memory_do_not_prove_that_the_blob_is_stored(memory: MemoryStore) -> None:
    cache = BlobCache(memory)
    cache.put(KEY, DATA, KEY)
    memory.lose(KEY)
    with protection(time.monotonic()):
        assert cache.get(KEY, KEY) == DATA
        assert cache.put(KEY, DATA, KEY) is True


def test_the_memo_does_not_vouch_for_an_old_blob(memory: MemoryStore, clock: Clock) -> None:
    cache = BlobCache(memory)
    with protection(ALWAYS):
        cache.put(KEY, DATA, KEY)
        clock.pass_days(1.1)
        counts(memory)
        assert cache.put(KEY, DATA, KEY) is True
        assert counts(memory) == {"put": 2, "stat": 1}
    assert age_of(memory) < timedelta(minutes=1)


def test_the_memo_does_not_vouch_for_an_old_blob_that_was_read(
    memory: MemoryStore, clock: Clock
) -> None:
    memory.put(KEY, DATA)
    clock.pass_days(29)
    memory.fail("renew")
    cache = BlobCache(memory)
    with protection(ALWAYS):
        cache.get(KEY, KEY)
        await_background(memory)
        counts(memory)
        assert cache.put(KEY, DATA, KEY) is True
    assert age_of(memory) < timedelta(minutes=1)


def test_blobs_removed_by_another_process_are_stored_again(tmp_path: Path) -> None:
    config = PayloadOffloadingConfig(
        storage_config=BlobStorageConfig(storage_provider="local", path=tmp_path)
    )
    client, context = PayloadEncoder(config), PayloadContext("ns", "order-1")
    value = {"pages": "x" * 3_000_000}
    sent = client.encode_value(value, context)
    other = open_store(config.storage_config.model_copy(update={"connections": 3}))
    for read_first in (False, True):
        if read_first:
            assert client.decode_value(sent) == value
        assert other.delete_many([blob.key for blob in other.list()]) == {}
        assert client.encode_value(value, context) == sent
        (blob,) = other.list()
        assert blob.size == len(client.decode(sent))


# Reads


def test_a_read_of_an_old_blob_renews_it_in_the_background(
    memory: MemoryStore, clock: Clock
) -> None:
    memory.put(KEY, DATA)
    clock.pass_days(29)
    counts(memory)
    cache = BlobCache(memory, memory_bytes=0)
    for _ in range(3):
        assert cache.get(KEY, KEY) == DATA
        await_background(memory)
    assert counts(memory) == {"get": 3, "renew": 1}
    assert age_of(memory) < timedelta(minutes=1)


def test_a_read_of_a_young_blob_renews_nothing(memory: MemoryStore, clock: Clock) -> None:
    memory.put(KEY, DATA)
    clock.pass_days(0.9)
    BlobCache(memory).get(KEY, KEY)
    BlobCache(memory, renew_after_seconds=0).get(KEY, KEY)
    await_background(memory)
    assert memory.requests["renew", KEY] == 0


def test_a_blob_that_is_read_from_memory_stays_young(memory: MemoryStore, clock: Clock) -> None:
    cache = BlobCache(memory)
    cache.put(KEY, DATA, KEY)
    for _ in range(60):
        clock.pass_days(1)
        assert cache.get(KEY, KEY) == DATA
        await_background(memory)
        assert age_of(memory) < timedelta(days=2)
    assert memory.requests["get", KEY] == 0
    assert memory.requests["renew", KEY] <= 60


def test_a_blob_that_is_read_from_the_directory_stays_young(
    memory: MemoryStore, clock: Clock, tmp_path: Path
) -> None:
    BlobCache(memory, directory=CacheDirectory(tmp_path)).put(KEY, DATA, KEY)
    clock.pass_days(29)
    counts(memory)
    reader = BlobCache(memory, directory=CacheDirectory(tmp_path))
    assert reader.get(KEY, KEY) == DATA  # another process used it just now, and took care
    await_background(memory)
    assert counts(memory) == {}
    (file,) = (path for path in tmp_path.rglob("*") if path.is_file())
    os.utime(file, (0, 0))
    reader = BlobCache(memory, directory=CacheDirectory(tmp_path))
    assert reader.get(KEY, KEY) == DATA
    await_background(memory)
    assert counts(memory) == {"renew": 1}
    assert age_of(memory) < timedelta(minutes=1)


def test_stores_that_are_only_read_are_never_renewed(
    memory: MemoryStore, clock: Clock, tmp_path: Path
) -> None:
    old = MemoryStore("old")
    old.clock = clock
    old.put(KEY, DATA)
    clock.pass_days(29)
    for _ in range(2):
        cache = BlobCache(memory, read_also=[old], directory=CacheDirectory(tmp_path))
        for _ in range(2):
            assert cache.get(KEY, KEY) == DATA
            clock.pass_days(2)
    await_background(memory)
    assert old.requests["renew", KEY] == memory.requests["renew", KEY] == 0


def test_an_erased_blob_does_not_come_back(memory: MemoryStore, clock: Clock) -> None:
    cache = BlobCache(memory)
    with protection(ALWAYS):
        cache.put(KEY, DATA, KEY)
        memory.lose(KEY)
        clock.pass_days(2)
        assert cache.get(KEY, KEY) == DATA  # from memory
        await_background(memory)
        assert memory.requests["renew", KEY] == 1
        assert list(memory.list()) == []
        assert cache.put(KEY, DATA, KEY) is True  # it is known to be gone


def test_a_read_does_not_wait_for_the_renewal(clock: Clock) -> None:
    gate = threading.Event()

    class Slow(MemoryStore):
        def _renew(self, key: str, before: datetime | None) -> bool:
            assert gate.wait(PATIENCE_SECONDS)
            return super()._renew(key, before)

    store = Slow(connections=4)
    store.clock = clock
    keys = [str(number) for number in range(50)]
    for key in keys:
        store.put(key, DATA)
    clock.pass_days(29)
    cache = BlobCache(store, memory_bytes=0)
    with Threads() as threads:
        assert set(threads.map(lambda key: cache.get(key, KEY), keys)) == {DATA}
    assert not gate.is_set()
    names = [thread.name for thread in threading.enumerate()]
    assert 1 <= names.count("mistral-offload-memory-background") <= 2
    gate.set()
    await_background(store)
    assert sum(store.requests["renew", key] for key in keys) == len(keys)


def test_closing_the_store_ends_renewals(clock: Clock) -> None:
    store = MemoryStore()
    store.clock = clock
    keys = [str(number) for number in range(200)]
    for key in keys:
        store.put(key, DATA)
    clock.pass_days(29)
    store.delay("renew", 0.1)
    cache = BlobCache(store, memory_bytes=0)
    for key in keys:
        cache.get(key, KEY)
    store.close()
    await_background(store)
    renewed = sum(store.requests["renew", key] for key in keys)
    assert renewed < len(keys) / 2
    assert store.run_in_background(lambda: None) is False


def test_missing_rights_are_one_warning_and_a_pause(
    memory: MemoryStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    keys = [str(number) for number in range(5)]
    for key in keys:
        memory.put(key, DATA)
    clock.pass_days(29)
    memory.fail("renew", StorageAccessDeniedError)
    cache = BlobCache(memory, memory_bytes=0)
    for key in keys:
        assert cache.get(key, KEY) == DATA
        await_background(memory)
    assert counts(memory) == {"put": 5, "get": 5, "renew": 1}
    clock.pass_days(2)
    for key in keys:
        cache.get(key, KEY)
        await_background(memory)
    assert counts(memory) == {"get": 5, "renew": 1}
    memory.heal()
    clock.pass_days(2)
    for key in keys:
        cache.get(key, KEY)
        await_background(memory)
    assert counts(memory) == {"get": 5, "renew": 5}
    assert [each.levelno for each in caplog.records].count(logging.WARNING) == 1


def test_a_transient_fault_leaves_the_renewal_to_the_next_read(
    memory: MemoryStore, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    memory.put(KEY, DATA)
    clock.pass_days(29)
    memory.fail("renew", call=1)
    cache = BlobCache(memory, memory_bytes=0)
    for _ in range(2):
        cache.get(KEY, KEY)
        await_background(memory)
    assert memory.requests["renew", KEY] == 2
    assert age_of(memory) < timedelta(minutes=1)
    assert not [each for each in caplog.records if each.levelno >= logging.WARNING]


# On real servers, behind proxies that count


@dataclass
class Remote:
    """A store behind a counting proxy, and the same one without it."""

    store: BlobStore
    direct: BlobStore
    proxy: CountingProxy
    age_request: str
    renewal: dict[str, int]


@pytest.fixture(params=["s3", "azure", "gcs"])
def remote(
    request: pytest.FixtureRequest, root: str, clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Remote]:
    given = request.getfixturevalue
    head, renewal = "HEAD", {"HEAD": 1, "PUT": 1}
    if request.param == "s3":
        seaweed: Seaweed = given("seaweed")
        proxy: CountingProxy = given("seaweed_proxy")
        direct = s3_config(seaweed, given("seaweed_bucket"), root)
        config = direct.model_copy(update={"endpoint_url": proxy.url})
    elif request.param == "azure":
        azurite: Azurite = given("azurite")
        proxy = given("azurite_proxy")
        direct = azure_config(azurite, given("azurite_container"), root)
        config = azure_config(
            azurite,
            given("azurite_container"),
            root,
            azure_connection_string=azurite.connection_string(url=azurite.through(proxy.url)),
        )
    else:
        fake_gcs: FakeGCS = given("fake_gcs")
        proxy = given("fake_gcs_proxy")
        direct = gcs_config(fake_gcs, given("fake_gcs_bucket"), root)
        config = direct.model_copy(update={"endpoint_url": proxy.url})
        head, renewal = "GET", {"GET": 1, "POST": 1}
    with open_store(config) as store, open_store(direct) as plain:
        monkeypatch.setattr(store, "now", clock)
        yield Remote(store, plain, proxy, head, renewal)


def method_counts(remote: Remote) -> dict[str, int]:
    found = dict(remote.proxy.counts())
    remote.proxy.clear()
    return found


def test_requests_of_puts(remote: Remote, clock: Clock) -> None:
    write = "POST" if remote.store.provider == "gcs" else "PUT"
    cache = BlobCache(remote.store)
    assert cache.put(KEY, DATA, KEY) is True
    assert method_counts(remote) == {write: 1}
    cache = BlobCache(remote.store)  # another process
    assert cache.put(KEY, DATA, KEY) is False
    assert method_counts(remote) == {write: 1, remote.age_request: 1}
    assert cache.put(KEY, DATA, KEY) is False
    assert method_counts(remote) == {write: 1}
    clock.pass_days(29)
    time.sleep(1.1)  # times have seconds
    before = remote.direct.stat(KEY).modified
    assert cache.put(KEY, DATA, KEY) is True
    assert method_counts(remote) == {write: 2, remote.age_request: 1}
    assert remote.direct.stat(KEY).modified > before


def test_requests_of_reads(remote: Remote, clock: Clock) -> None:
    remote.direct.put(KEY, DATA)
    cache = BlobCache(remote.store, memory_bytes=0)
    assert cache.get(KEY, KEY) == DATA
    await_background(remote.store)
    assert method_counts(remote) == {"GET": 1}
    before = remote.direct.stat(KEY).modified
    clock.pass_days(29)
    time.sleep(1.1)
    for number in range(2):
        assert cache.get(KEY, KEY) == DATA
        await_background(remote.store)
        renewal = {} if number else remote.renewal
        assert method_counts(remote) == {**renewal, "GET": 1 + renewal.get("GET", 0)}
    assert remote.direct.stat(KEY).modified > before
    assert remote.direct.get(KEY) == DATA


def test_a_blob_erased_during_the_renewal_does_not_come_back(remote: Remote) -> None:
    remote.direct.put(KEY, DATA)
    remote.proxy.delay_seconds = 1.0
    with Threads() as thread:
        renewal = thread.submit(remote.store.renew, KEY)
        wait_until(lambda: len(remote.proxy.requests) == 1)
        remote.direct.delete(KEY)
        with contextlib.suppress(BlobNotFoundError):
            assert renewal.result() is False
    assert len(remote.proxy.requests) == 2
    assert list(remote.direct.list()) == []


def test_s3_keeps_metadata_and_headers(seaweed: Seaweed, seaweed_bucket: str, root: str) -> None:
    key, client = f"{root}/k", seaweed.client()
    client.put_object(
        Bucket=seaweed_bucket,
        Key=key,
        Body=DATA,
        Metadata={"team": "billing"},
        CacheControl="no-store",
        ContentType="application/x-blob",
        ContentLanguage="fr",
        ContentDisposition="attachment",
        StorageClass="STANDARD_IA",
        Tagging="cost=low",
    )
    kept = ("Metadata", "CacheControl", "ContentType", "ContentLanguage", "ContentDisposition",
            "StorageClass", "ETag", "ContentLength")  # fmt: skip

    def members() -> dict[str, Any]:
        found: Any = client.head_object(Bucket=seaweed_bucket, Key=key)
        return {name: found.get(name) for name in kept}

    before = members()
    assert before["Metadata"] == {"team": "billing"}
    with open_store(s3_config(seaweed, seaweed_bucket, connections=2)) as store:
        assert store.renew(key) is True
    assert members() == before
    tags = client.get_object_tagging(Bucket=seaweed_bucket, Key=key)["TagSet"]
    assert [(tag["Key"], tag["Value"]) for tag in tags] == [("cost", "low")]
    client.close()


def test_azure_keeps_metadata_headers_and_tier(
    azurite: Azurite, azurite_container: str, root: str
) -> None:
    from azure.storage.blob import ContentSettings, StandardBlobTier

    with azurite.client() as service:
        blob = service.get_blob_client(azurite_container, f"{root}/k")
        blob.upload_blob(
            DATA,
            metadata={"team": "billing"},
            content_settings=ContentSettings(content_type="application/x-blob"),
            standard_blob_tier=StandardBlobTier.COOL,
            tags={"cost": "low"},
        )
        with open_store(azure_config(azurite, azurite_container, connections=2)) as store:
            assert store.renew(f"{root}/k") is True
        found = blob.get_blob_properties()
        assert found.metadata == {"team": "billing"}
        assert found.content_settings.content_type == "application/x-blob"
        assert found.blob_tier == "Cool"
        assert blob.get_blob_tags() == {"cost": "low"}
        assert blob.download_blob().readall() == DATA


def test_gcs_keeps_metadata_and_headers(fake_gcs: FakeGCS, fake_gcs_bucket: str, root: str) -> None:
    import requests

    config = gcs_config(fake_gcs, fake_gcs_bucket, connections=2)
    name = f"{root}/k"
    with open_store(config) as store:
        store.put(name, DATA)
        url = f"{fake_gcs.url}/storage/v1/b/{fake_gcs_bucket}/o/{name.replace('/', '%2F')}"
        wanted = {
            "contentType": "application/x-blob",
            "cacheControl": "no-store",
            "metadata": {"team": "billing"},
        }
        requests.patch(url, json=wanted, timeout=10).raise_for_status()
        assert store.renew(name) is True
        found = requests.get(url, timeout=10).json()
        assert {member: found.get(member) for member in wanted} == wanted
        assert store.get(name) == DATA


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"last-modified": "Thu, 01 Jan 2026 00:00:00 GMT"}, 1_767_225_600),
        ({"x-goog-generation": "1767225600123456"}, 1_767_225_600.123456),
        ({"x-goog-generation": "not a number"}, None),
        ({"x-goog-generation": "9" * 40}, None),
        ({"last-modified": "yesterday"}, None),
        ({}, None),
    ],
)
def test_the_age_in_the_headers_of_a_google_download(
    headers: dict[str, str], seconds: float | None
) -> None:
    found = _written_at(headers)
    assert (found and found.timestamp()) == seconds
