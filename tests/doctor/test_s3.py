"""Findings for a bucket of SeaweedFS, healthy and in every other state."""

from __future__ import annotations

from contextlib import aclosing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from mistral_offload.config import BlobStorageConfig
from mistral_offload.devserver import LocalPlatform
from mistral_offload.doctor import Outcome, examine
from tests.servers.almost_s3 import AlmostS3, Request
from tests.servers.proxy import CountingProxy
from tests.servers.scripted import ScriptedServer
from tests.servers.seaweed import Seaweed
from tests.storage.backends import s3_config

from .examinations import findings_of, outcomes, settings_for, shown

OK, WARNING, FAILED = Outcome.OK, Outcome.WARNING, Outcome.FAILED
NOT_CHECKED = Outcome.NOT_CHECKED
DENIED = b"<Error><Code>AccessDenied</Code><Message>no</Message></Error>"
KEY = "8f" * 32


@pytest.fixture
def bucket(seaweed: Seaweed) -> str:
    return seaweed.make_bucket()


def keys_in(seaweed: Seaweed, bucket: str) -> set[str]:
    client = seaweed.client()
    try:
        found = client.list_objects_v2(Bucket=bucket)
    finally:
        client.close()
    return {entry.get("Key", "") for entry in found.get("Contents", ())}


def expire(seaweed: Seaweed, bucket: str, **days: int) -> None:
    """Set rules: ``payloads`` for the prefix of payloads, ``all`` for the whole bucket."""
    rules: list[Any] = [
        {
            "ID": name,
            "Status": "Enabled",
            "Filter": {"Prefix": {"payloads": "temporal-payload/", "all": ""}[name]},
            "Expiration": {"Days": number},
        }
        for name, number in days.items()
    ]
    client = seaweed.client()
    try:
        client.put_bucket_lifecycle_configuration(
            Bucket=bucket, LifecycleConfiguration={"Rules": rules}
        )
    finally:
        client.close()


async def test_healthy(seaweed: Seaweed, bucket: str, local_platform: LocalPlatform) -> None:
    expire(seaweed, bucket, all=40)
    config = s3_config(seaweed, bucket, "data")
    settings = settings_for(
        local_platform,
        payloads=config,
        fields=config,
        temporal_payload_encryption={"mode": "full", "main_key": KEY, "encrypt_fields": True},
        temporal_payload_compression={},
    )
    findings = await findings_of(settings)
    assert outcomes(findings, "payload_store.") == dict.fromkeys(
        ("reach", "put", "get", "create_if_absent", "list", "clock", "latency", "throughput",
         "round_trip", "delete", "expiry"),
        OK,
    )  # fmt: skip
    assert outcomes(findings, "field_store.") == dict.fromkeys(
        ("reach", "put", "get", "create_if_absent", "list", "round_trip", "delete", "expiry"), OK
    )
    assert findings["payload_store.round_trip"].detail.startswith(
        "compressed, encrypted, offloaded, encrypted"
    )
    assert findings["field_store.round_trip"].detail.startswith("encrypted, offloaded")
    assert "'data'" in findings["payload_store.reach"].detail
    assert keys_in(seaweed, bucket) == set()
    assert KEY not in shown(findings)
    assert seaweed.secret_key not in shown(findings)


async def test_no_bucket(seaweed: Seaweed, local_platform: LocalPlatform) -> None:
    findings = await findings_of(
        settings_for(local_platform, payloads=s3_config(seaweed, "no-such-bucket"))
    )
    ended = outcomes(findings, "payload_store.")
    assert ended.pop("reach") is FAILED
    assert set(ended.values()) == {NOT_CHECKED}
    assert findings["payload_store.put"].detail == "because 'payload store: reachable' failed"
    remedy = findings["payload_store.reach"].remedy
    assert "create 'no-such-bucket'" in str(remedy)
    assert "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG" in str(remedy)


@pytest.mark.parametrize("read_only", [False, True])
async def test_a_wrong_secret(
    seaweed: Seaweed, bucket: str, read_only: bool, local_platform: LocalPlatform
) -> None:
    secret = "wrong-secret-of-forty-characters-0123456"
    config = s3_config(seaweed, bucket, aws_secret_access_key=secret)
    findings = await findings_of(settings_for(local_platform, payloads=config), read_only=read_only)
    finding = findings["payload_store.reach"]
    assert finding.outcome is FAILED
    assert "credentials are not valid" in finding.detail
    assert "fix the credentials" in str(finding.remedy)
    assert secret not in shown(findings)


async def test_no_right_to_write(
    seaweed: Seaweed, bucket: str, local_platform: LocalPlatform
) -> None:
    config = s3_config(seaweed, bucket, aws_access_key_id=seaweed.browsing_access_key)
    findings = await findings_of(settings_for(local_platform, payloads=config))
    ended = outcomes(findings, "payload_store.")
    assert [ended[name] for name in ("reach", "list", "put")] == [OK, OK, FAILED]
    assert "s3:PutObject" in findings["payload_store.put"].detail
    assert ended["get"] is ended["round_trip"] is ended["clock"] is NOT_CHECKED
    assert findings["payload_store.delete"].detail == "because nothing was written"


async def test_no_right_to_list(
    seaweed: Seaweed, bucket: str, local_platform: LocalPlatform
) -> None:
    config = s3_config(seaweed, bucket, aws_access_key_id=seaweed.writing_access_key)
    findings = await findings_of(settings_for(local_platform, payloads=config))
    ended = outcomes(findings, "payload_store.")
    assert (ended["reach"], ended["put"], ended["list"]) == (OK, OK, WARNING)
    assert findings["payload_store.list"].remedy == "allow s3:ListBucket on the bucket"
    assert keys_in(seaweed, bucket) == set()


async def test_missing_blobs_are_reported_as_forbidden(
    seaweed: Seaweed, bucket: str, seaweed_proxy: CountingProxy, local_platform: LocalPlatform
) -> None:
    """S3 responds like this without s3:ListBucket."""
    seaweed_proxy.answer("GET", 403, DENIED, times=2)
    config = s3_config(seaweed, bucket, endpoint_url=seaweed_proxy.url)
    findings = await findings_of(settings_for(local_platform, payloads=config))
    assert findings["payload_store.reach"].outcome is OK
    assert findings["payload_store.put"].outcome is OK
    assert keys_in(seaweed, bucket) == set()


async def test_no_right_to_delete(
    seaweed: Seaweed, bucket: str, seaweed_proxy: CountingProxy, local_platform: LocalPlatform
) -> None:
    seaweed_proxy.answer("DELETE", 403, DENIED, times=1000)
    config = s3_config(seaweed, bucket, "data", endpoint_url=seaweed_proxy.url)
    findings = await findings_of(settings_for(local_platform, payloads=config))
    finding = findings["payload_store.delete"]
    assert finding.outcome is WARNING
    left = keys_in(seaweed, bucket)
    assert left
    assert all(key in str(finding.remedy) for key in left)
    assert all(key.startswith("data/temporal-payload/mistral-workflows/") for key in left)
    assert "s3:DeleteObject" in str(finding.remedy)


async def test_a_web_page_is_no_store(local_platform: LocalPlatform) -> None:
    headers = {"Content-Type": "text/html", "ETag": '"1"'}
    for status in (200, 404):
        page = partial(Request.respond, status=status, body="<!DOCTYPE html>", headers=headers)
        with AlmostS3(page) as server:
            config = BlobStorageConfig(
                bucket_name="b",
                endpoint_url=server.url,
                region_name="r",
                aws_access_key_id=SecretStr("AK"),
                aws_secret_access_key=SecretStr("secret"),
            )
            findings = await findings_of(settings_for(local_platform, payloads=config))
        finding = findings["payload_store.reach"]
        assert finding.outcome is FAILED
        assert "not an S3 server" in finding.detail


async def test_a_server_that_ignores_the_condition(
    seaweed: Seaweed, bucket: str, seaweed_proxy: CountingProxy, local_platform: LocalPlatform
) -> None:
    seaweed_proxy.answer("PUT", 200, skip=1, fields={"ETag": '"e"'})  # of the same blob
    config = s3_config(seaweed, bucket, endpoint_url=seaweed_proxy.url)
    findings = await findings_of(settings_for(local_platform, payloads=config))
    finding = findings["payload_store.create_if_absent"]
    assert finding.outcome is WARNING
    assert "STORAGE_CONFIG__CONDITIONAL_WRITES=false" in str(finding.remedy)
    assert findings["payload_store.latency"].outcome is OK


async def test_a_bucket_that_is_silent(seaweed: Seaweed, local_platform: LocalPlatform) -> None:
    with ScriptedServer(None) as silent:
        config = s3_config(seaweed, "bucket", endpoint_url=silent.url)
        findings = await findings_of(settings_for(local_platform, payloads=config), timeout=1)
    assert findings["payload_store.reach"].outcome is FAILED
    assert findings["payload_store.expiry"].outcome is NOT_CHECKED


@pytest.mark.parametrize(
    ("days", "outcome", "words"),
    [
        ({"payloads": 1}, FAILED, "rule 'payloads' of 'temporal-payload/'"),
        ({"payloads": 40, "all": 1}, FAILED, "rule 'all' of the whole bucket"),
        ({"payloads": 3}, WARNING, "longer than 2 days"),
        ({}, WARNING, "kept forever"),
    ],
)
async def test_expiry(
    seaweed: Seaweed,
    bucket: str,
    local_platform: LocalPlatform,
    days: dict[str, int],
    outcome: Outcome,
    words: str,
) -> None:
    """The local platform keeps ended executions for a day."""
    if days:
        expire(seaweed, bucket, **days)
    settings = settings_for(local_platform, payloads=s3_config(seaweed, bucket))
    finding = (await findings_of(settings, read_only=True))["payload_store.expiry"]
    assert (finding.outcome, words in finding.detail) == (outcome, True), finding
    apply = "mistral-offload lifecycle apply --days 11 --retention-days 1"
    assert str(finding.remedy).endswith(apply)
    assert ("remove rule" in str(finding.remedy)) == bool(days)


async def test_no_right_to_read_the_rules(
    seaweed: Seaweed, bucket: str, seaweed_proxy: CountingProxy, local_platform: LocalPlatform
) -> None:
    seaweed_proxy.answer("GET", 403, DENIED, skip=3)  # read, list, and list again
    config = s3_config(seaweed, bucket, endpoint_url=seaweed_proxy.url)
    findings = await findings_of(settings_for(local_platform, payloads=config), read_only=True)
    finding = findings["payload_store.expiry"]
    assert (finding.outcome, findings["payload_store.list"].outcome) == (WARNING, OK)
    assert "s3:GetLifecycleConfiguration" in finding.detail


async def test_reading_only_writes_nothing(
    seaweed: Seaweed,
    bucket: str,
    seaweed_proxy: CountingProxy,
    tmp_path: Path,
    local_platform: LocalPlatform,
) -> None:
    cache = tmp_path / "cache"
    config = s3_config(
        seaweed, bucket, endpoint_url=seaweed_proxy.url, cache_directory=cache, read_also=()
    )
    findings = await findings_of(settings_for(local_platform, payloads=config), read_only=True)
    assert set(outcomes(findings, "payload_store.")) == {
        "reach", "list", "expiry", "cache_directory",
    }  # fmt: skip
    assert set(seaweed_proxy.counts()) == {"GET"}
    assert not cache.exists()


async def test_stores_to_read_also(
    seaweed: Seaweed, bucket: str, local_platform: LocalPlatform
) -> None:
    old = s3_config(seaweed, seaweed.make_bucket(), aws_access_key_id=seaweed.browsing_access_key)
    gone = s3_config(seaweed, "gone-bucket")
    config = s3_config(seaweed, bucket, read_also=(old, gone))
    findings = await findings_of(settings_for(local_platform, payloads=config))
    assert findings["payload_store.reach"].outcome is OK
    assert outcomes(findings, "payload_store.read_also.1.") == {"reach": OK, "list": OK}
    assert outcomes(findings, "payload_store.read_also.2.") == {
        "reach": FAILED,
        "list": NOT_CHECKED,
    }


async def test_an_examination_that_is_closed_early(
    seaweed: Seaweed, bucket: str, local_platform: LocalPlatform
) -> None:
    settings = settings_for(local_platform, payloads=s3_config(seaweed, bucket))
    async with aclosing(examine(settings)) as findings:
        async for finding in findings:
            if finding.id == "payload_store.put":
                break
    assert finding.outcome is OK
    assert keys_in(seaweed, bucket) == set()
