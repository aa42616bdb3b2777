"""Findings for Azure, Google Cloud Storage and a directory, where they differ from S3."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.devserver import LocalPlatform
from mistral_offload.doctor import Outcome
from mistral_offload.doctor.configured_stores import configured_stores
from mistral_offload.doctor.findings import SharedFacts
from mistral_offload.doctor.probe import Probe
from tests.bounds import PATIENCE_SECONDS, within
from tests.servers.azurite import Azurite
from tests.servers.gcs import FakeGCS
from tests.storage.backends import AzureBackend, azure_config, gcs_config

from .examinations import findings_of, outcomes, settings_for, shown

OK, WARNING, FAILED = Outcome.OK, Outcome.WARNING, Outcome.FAILED
NOT_CHECKED = Outcome.NOT_CHECKED
WRITING = (
    "reach", "put", "get", "create_if_absent", "list", "clock", "latency", "throughput",
    "round_trip", "delete",
)  # fmt: skip


async def test_azure(azurite: Azurite, local_platform: LocalPlatform) -> None:
    container = azurite.make_container()
    config = azure_config(azurite, container, "data")
    findings = await findings_of(settings_for(local_platform, payloads=config))
    ended = outcomes(findings, "payload_store.")
    assert ended.pop("expiry") is NOT_CHECKED
    assert ended == dict.fromkeys(WRITING, OK)
    remedy = str(findings["payload_store.expiry"].remedy)
    assert remedy.startswith("az storage account management-policy show")
    backend = AzureBackend(azurite, container)
    with backend.make(None, 1) as store:
        assert backend.physical_keys(store, "") == set()
    assert azurite.account_key not in shown(findings)


async def test_a_wrong_account_key(azurite: Azurite, local_platform: LocalPlatform) -> None:
    key = "d3JvbmcgYWNjb3VudCBrZXkgZm9yIHRoZSBkb2N0b3I="
    text = azurite.connection_string(key=key)
    config = azure_config(azurite, "container", azure_connection_string=text)
    findings = await findings_of(settings_for(local_platform, payloads=config))
    assert findings["payload_store.reach"].outcome is FAILED
    assert key not in shown(findings)


async def test_google(fake_gcs: FakeGCS, local_platform: LocalPlatform) -> None:
    """This fake server has no lifecycle rules."""
    bucket = fake_gcs.make_bucket()
    config = gcs_config(fake_gcs, bucket)
    findings = await findings_of(settings_for(local_platform, payloads=config, fields=config))
    ended = outcomes(findings, "payload_store.")
    assert ended.pop("expiry") is WARNING
    assert ended == dict.fromkeys(WRITING, OK)
    assert fake_gcs.keys(bucket, "") == set()


async def test_a_bucket_of_google_that_does_not_exist(
    fake_gcs: FakeGCS, local_platform: LocalPlatform
) -> None:
    """A read alone cannot tell it from a missing blob."""
    config = gcs_config(fake_gcs, "no-such-bucket")
    findings = await findings_of(settings_for(local_platform, payloads=config))
    assert findings["payload_store.reach"].outcome is FAILED
    assert "create 'no-such-bucket'" in str(findings["payload_store.reach"].remedy)


def directory(path: Path, **settings: object) -> BlobStorageConfig:
    return BlobStorageConfig(storage_provider=StorageProvider.LOCAL, path=path, **settings)


async def test_a_directory(tmp_path: Path, local_platform: LocalPlatform) -> None:
    cache = tmp_path / "cache"
    cache.mkdir(mode=0o755)
    config = directory(tmp_path / "blobs", cache_directory=cache)
    findings = await findings_of(settings_for(local_platform, payloads=config))
    ended = outcomes(findings, "payload_store.")
    assert ended.pop("cache_directory") is WARNING
    assert ended == dict.fromkeys(WRITING, OK)
    assert "expiry" not in ended
    assert list((tmp_path / "blobs").rglob("*")) == []
    assert list(cache.iterdir()) == []


async def test_a_file_in_place_of_a_directory(
    tmp_path: Path, local_platform: LocalPlatform
) -> None:
    file = tmp_path / "file"
    file.write_text("")
    findings = await findings_of(settings_for(local_platform, payloads=directory(file)))
    ended = outcomes(findings, "payload_store.")
    assert ended.pop("reach") is FAILED
    assert set(ended.values()) == {NOT_CHECKED}
    assert "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG" in str(
        findings["payload_store.reach"].remedy
    )


async def test_a_write_that_timed_out_is_removed_as_well(
    tmp_path: Path, local_platform: LocalPlatform
) -> None:
    settings = settings_for(local_platform, payloads=directory(tmp_path))
    (store,) = configured_stores(settings)
    probe = Probe(store, SharedFacts(settings), timeout=PATIENCE_SECONDS)
    key = probe.key_of(b"late")

    may_write, written = asyncio.Event(), asyncio.Event()

    async def write_slowly() -> None:
        await within(may_write.wait())
        await probe.store.put_async(key, b"late")
        written.set()

    probe.expect(key)
    with pytest.raises(asyncio.TimeoutError):
        await asyncio.wait_for(probe.write(write_slowly()), 0.01)
    removing = asyncio.ensure_future(probe.remove())
    may_write.set()
    assert await within(removing) == 1
    assert written.is_set()  # it has waited for the write
    assert probe.left == []
    assert [blob async for blob in probe.store.list_async()] == []
