"""The worker's check of its stores before it starts."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from collections.abc import Collection
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

import mistral_offload.workflows as workflows
from mistral_offload.errors import StorageAccessDeniedError, StorageCheckError
from mistral_offload.storage import MemoryStore
from mistral_offload.workflows import WorkerSettings, storage_check
from mistral_offload.workflows.storage_check import check_stores, warn_of_unknown_namespace
from tests.bounds import in_background, until
from tests.servers.almost_s3 import AlmostS3
from tests.servers.process import free_ports
from tests.servers.seaweed import Seaweed
from tests.workflows import recordings

BOTH = {"payloads": True, "fields": True}


class GuardedStore(MemoryStore):
    """Allows some operations; without listing, a missing blob is refused as S3 does."""

    def __init__(self, allowed: Collection[str]) -> None:
        super().__init__()
        self._allowed = allowed

    def _begin_request(self, operation: str, key: str) -> None:
        super()._begin_request(operation, key)
        missing = operation == "get" and key not in self._blobs and "list" not in self._allowed
        if operation not in self._allowed or missing:
            raise StorageAccessDeniedError("no", provider="memory", container="m", key=key)


def settings(**groups: Any) -> WorkerSettings:
    return WorkerSettings(_env_file=None, **groups)


def group(**values: Any) -> Any:
    return {"storage_config": values}


FIELDS = settings(activity_attributes_offloading=group(bucket_name="b"))


@pytest.mark.parametrize(
    ("allowed", "asked"),
    [
        (["get", "put", "list"], ["get"]),
        (["get", "put"], ["get", "put", "get"]),
    ],
)
async def test_enough_rights(
    allowed: list[str], asked: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    store = GuardedStore(allowed)
    monkeypatch.setattr(storage_check, "open_store", lambda config: store)
    await check_stores(FIELDS, **BOTH)
    assert sorted(operation for operation, _ in store.requests.elements()) == sorted(asked)
    assert {key for _, key in store.requests} == {"temporal-activity-payload/worker-start-check"}


async def test_stores_to_read_from_too_are_only_read(monkeypatch: pytest.MonkeyPatch) -> None:
    stores = {"new": GuardedStore(["get", "list"]), "old": GuardedStore(["get", "list"])}
    monkeypatch.setattr(storage_check, "open_store", lambda config: stores[config.bucket_name])
    moving = group(bucket_name="new", read_also=[{"bucket_name": "old"}])
    await check_stores(settings(temporal_payload_offloading=moving), **BOTH)
    asked = [operation for operation, _ in stores["old"].requests.elements()]
    assert asked == ["get"]
    stores["old"] = GuardedStore(["put"])
    with pytest.raises(StorageCheckError):
        await check_stores(settings(temporal_payload_offloading=moving), **BOTH)
    assert ("put", "temporal-payload/worker-start-check") not in stores["old"].requests


class KnownStore(GuardedStore):
    """Has a blob of each kind in the namespace "a/b"."""

    def __init__(self, allowed: Collection[str], prefix: str | None = None) -> None:
        super().__init__(allowed)
        for root in ("temporal-payload", "temporal-activity-payload"):
            self._blobs[f"{root}/a%2Fb/e/sha256:0"] = b"x", datetime.now(timezone.utc)


@pytest.mark.parametrize(
    ("store", "namespace", "warns"),
    [
        (KnownStore(["list"]), "a/b", False),
        (KnownStore(["list"]), "a", True),
        (GuardedStore(["list"]), "a/b", True),
        (GuardedStore(["get"]), "a/b", False),  # not permitted to list
    ],
)
async def test_a_store_that_does_not_know_the_namespace(
    store: MemoryStore,
    namespace: str,
    warns: bool,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.setattr(storage_check, "open_store", lambda config: store)
    same = group(bucket_name="b", prefix="prd")
    both = settings(temporal_payload_offloading=same, activity_attributes_offloading=same)
    store.requests.clear()
    await warn_of_unknown_namespace(both, namespace, **BOTH)
    assert [operation for operation, _ in store.requests.elements()] == ["list"]
    messages = [record.getMessage() for record in caplog.records]
    assert len(messages) == warns
    for message in messages:
        assert message.startswith("TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG: s3 'b', prefix ")
        assert f"no blob of namespace {namespace} " in message


async def test_each_store_is_looked_at_for_the_namespace(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    known = {"new", "fields"}
    monkeypatch.setattr(
        storage_check,
        "open_store",
        lambda config: (KnownStore if config.bucket_name in known else GuardedStore)(["list"]),
    )
    moving = group(bucket_name="new", read_also=[{"bucket_name": "old"}])
    both = settings(
        temporal_payload_offloading=moving,
        activity_attributes_offloading=group(bucket_name="fields"),
    )
    await warn_of_unknown_namespace(both, "a/b", **BOTH)
    (record,) = caplog.records
    assert "s3 'old'" in record.getMessage()


@pytest.mark.parametrize("allowed", [[], ["put"], ["get"]])
async def test_too_few_rights(allowed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(storage_check, "open_store", lambda config: GuardedStore(allowed))
    with pytest.raises(StorageCheckError, match="ACTIVITY_ATTRIBUTES_OFFLOADING__STORAGE_CONFIG:"):
        await check_stores(FIELDS, **BOTH)


async def test_every_store_that_fails_is_named(seaweed: Seaweed, tmp_path: Path) -> None:
    (closed,) = free_ports(1)
    key = {"aws_access_key_id": "AK", "aws_secret_access_key": "SECRET", "region_name": "us-east-1"}
    s3 = {"bucket_name": "no-such-bucket", "retry_seconds": 0.2, **key}
    both = settings(
        temporal_payload_offloading=group(endpoint_url=f"http://127.0.0.1:{closed}", **s3),
        activity_attributes_offloading=group(
            bucket_name="no-such-bucket", **seaweed_settings(seaweed)
        ),
    )
    with pytest.raises(StorageCheckError) as failed:
        await check_stores(both, **BOTH)
    text = str(failed.value)
    assert "\n  TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG: " in text
    assert "\n  ACTIVITY_ATTRIBUTES_OFFLOADING__STORAGE_CONFIG: the bucket does not exist" in text
    assert "CHECK_STORAGE_ON_START" in text
    assert "SECRET" not in text
    await check_stores(both, payloads=False, fields=False)
    await check_stores(
        settings(activity_attributes_offloading=group(storage_provider="local", path=tmp_path)),
        **BOTH,
    )


def seaweed_settings(seaweed: Seaweed) -> dict[str, Any]:
    return {
        "region_name": "us-east-1",
        "endpoint_url": seaweed.endpoint_url,
        "aws_access_key_id": seaweed.access_key,
        "aws_secret_access_key": seaweed.secret_key,
    }


def test_the_worker_says_so_and_ends(tmp_path: Path) -> None:
    (closed,) = free_ports(1)
    block = "ACTIVITY_ATTRIBUTES_OFFLOADING__STORAGE_CONFIG__"
    variables = {
        f"{block}BUCKET_NAME": "b",
        f"{block}ENDPOINT_URL": f"http://127.0.0.1:{closed}",
        f"{block}REGION_NAME": "us-east-1",
        f"{block}AWS_ACCESS_KEY_ID": "AK",
        f"{block}AWS_SECRET_ACCESS_KEY": "SECRET-KEY",
        f"{block}RETRY_SECONDS": "0.2",
    }
    code = (
        "import asyncio, mistral_offload.workflows as w\n"
        "from tests.workflows import recordings as r\n"
        "asyncio.run(w.run_worker(r.CLASSES, activities=r.ACTIVITIES, register=False))"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, **variables},
        cwd=Path(__file__).parents[2],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    assert ended.returncode == 1
    assert "StorageCheckError: the worker cannot use its configured storage" in ended.stderr
    assert "CHECK_STORAGE_ON_START=false" in ended.stderr
    assert "ACTIVITY_ATTRIBUTES_OFFLOADING__STORAGE_CONFIG: " in ended.stderr
    assert "SECRET-KEY" not in ended.stderr


async def test_the_start_is_logged_once(
    temporal_target: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mistral_offload")
    working = workflows.run_worker(
        recordings.CLASSES,
        activities=recordings.ACTIVITIES,
        settings=settings(
            temporal_server_url=temporal_target,
            temporal_namespace="default",
            activity_attributes_offloading=group(
                bucket_name="b",
                prefix="team",
                aws_access_key_id="AK",
                aws_secret_access_key="SECRET-KEY",
            ),
            check_storage_on_start=False,
        ),
        register=False,
    )
    async with in_background(working):
        await until(lambda: caplog.records)
    (line,) = [r.getMessage() for r in caplog.records if r.name == "mistral_offload.worker"]
    assert "activity fields: from 1,048,576 bytes on, to s3 'b', prefix 'team'" in line
    assert "SECRET" not in line


PAGE = {
    "Content-Type": "text/html",
    "ETag": '"1"',
    "Last-Modified": "Mon, 04 May 2026 10:00:00 GMT",
}


@pytest.mark.parametrize(
    ("status", "headers", "body"),
    [
        (200, PAGE, "<!DOCTYPE html><title>Sign in</title>"),
        (404, PAGE, "<!DOCTYPE html><title>Not found</title>"),
        (200, {}, ""),
        (200, {**PAGE, "Content-Type": "application/json"}, '{"status": "up"}'),
    ],
    ids=["a page", "a page for what is missing", "nothing", "an API that serves every address"],
)
async def test_a_server_that_is_no_store_stops_the_worker(
    status: int, headers: dict[str, str], body: str
) -> None:
    with AlmostS3(lambda request: request.respond(status, body, headers)) as server:
        config = group(
            bucket_name="b",
            endpoint_url=server.url,
            region_name="r",
            aws_access_key_id="AK",
            aws_secret_access_key="secret",
        )
        with pytest.raises(StorageCheckError, match="is not a"):
            await check_stores(settings(temporal_payload_offloading=config), **BOTH)
