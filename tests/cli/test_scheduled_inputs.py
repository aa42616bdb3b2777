"""Inputs of schedules, cron executions and delayed starts: warnings, and ``blobs renew``."""

from __future__ import annotations

import asyncio
import json
import random
import subprocess
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleIntervalSpec,
    ScheduleSpec,
    ScheduleState,
    ScheduleUpdate,
)
from temporalio.common import RawValue

from mistral_offload.config import PayloadEncryptionConfig, PayloadOffloadingConfig
from mistral_offload.devserver import LocalPlatform
from mistral_offload.doctor import Finding, Outcome
from mistral_offload.files.progress import ProgressMeter
from mistral_offload.files.reference import root_of_execution
from mistral_offload.files.upload import FileUpload
from mistral_offload.payload.encryption import Cipher
from mistral_offload.payload.field_blob import NO_CIPHER, FieldCipher
from mistral_offload.storage import BlobStore, open_store
from mistral_offload.storage.cache import BlobCache
from mistral_offload.temporal import OffloadPlugin
from tests.bounds import until
from tests.cleanup.worlds import World, make_world
from tests.doctor.examinations import findings_of, settings_for
from tests.servers.seaweed import Seaweed
from tests.storage.backends import s3_config

from .command import call_command

QUEUE = "nobody"
LONG = "x" * 3_000_000
IDS = ("daily", "manual", "paused", "small")


@dataclass
class Place:
    """A namespace with inputs that are read later, their bucket, and the worker's variables."""

    world: World
    client: Client
    store: BlobStore
    variables: Path
    seaweed: Seaweed

    async def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        return await asyncio.to_thread(call_command, *arguments, "--config", str(self.variables))

    async def document(self, *arguments: str, code: int = 0) -> Any:
        ended = await self.run(*arguments, "--json")
        assert ended.returncode == code, ended.stdout + ended.stderr
        return json.loads(ended.stdout)

    def key_of(self, execution_id: str) -> str:
        (key,) = (blob.key for blob in self.store.list() if f"/{execution_id}/" in blob.key)
        return key

    def modified(self, execution_id: str) -> datetime:
        return self.store.stat(self.key_of(execution_id)).modified


@pytest.fixture
async def place(
    seaweed: Seaweed, tmp_path: Path, local_platform: LocalPlatform
) -> AsyncIterator[Place]:
    config = s3_config(seaweed, seaweed.make_bucket())
    variables = tmp_path / "worker.env"
    with open_store(config) as store:
        async with make_world(local_platform, store) as world:
            start = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__"
            values = {
                f"{start}BUCKET_NAME": config.bucket_name,
                f"{start}REGION_NAME": seaweed.region_name,
                f"{start}ENDPOINT_URL": seaweed.endpoint_url,
                f"{start}AWS_ACCESS_KEY_ID": seaweed.access_key,
                f"{start}AWS_SECRET_ACCESS_KEY": seaweed.secret_key,
                "TEMPORAL_SERVER_URL": local_platform.temporal_address,
                "TEMPORAL_NAMESPACE": world.client.namespace,
                "TEMPORAL_TLS": "false",
            }
            variables.write_text("\n".join(f"{name}={value}" for name, value in values.items()))
            client = await Client.connect(
                local_platform.temporal_address,
                namespace=world.client.namespace,
                plugins=[OffloadPlugin(PayloadOffloadingConfig(storage_config=config))],
            )
            place = Place(world, client, store, variables, seaweed)
            await fill(place)
            yield place


async def fill(place: Place) -> None:
    daily = ScheduleSpec(intervals=[ScheduleIntervalSpec(every=timedelta(days=1))])
    for name, value, spec, paused in (
        ("daily", LONG, daily, False),
        ("manual", LONG, ScheduleSpec(), False),
        ("paused", LONG, daily, True),
        ("small", "x", daily, False),
    ):
        action = ScheduleActionStartWorkflow("run", value, id=f"{name}-run", task_queue=QUEUE)
        await place.client.create_schedule(
            name, Schedule(action=action, spec=spec, state=ScheduleState(paused=paused))
        )

    async def start(execution_id: str, **options: Any) -> None:
        await place.client.start_workflow("run", LONG, id=execution_id, task_queue=QUEUE, **options)

    await start("cron", cron_schedule="0 0 1 1 *")
    await start("delayed", start_delay=timedelta(days=60))
    await start("running")
    await place.world.listed("ExecutionStatus = 'Running'", 3)

    async def all_listed() -> bool:
        entries = await place.client.list_schedules()
        return {entry.id async for entry in entries} == set(IDS)

    await until(all_listed)


async def examined(place: Place, platform: LocalPlatform, **others: Any) -> Finding:
    settings = settings_for(
        platform,
        payloads=s3_config(place.seaweed, place.store.container),
        temporal_server_url=platform.temporal_address,
        temporal_namespace=place.world.client.namespace,
        **others,
    )
    return (await findings_of(settings, read_only=True))["temporal.scheduled_inputs"]


async def test_warnings(place: Place, local_platform: LocalPlatform) -> None:
    finding = await examined(place, local_platform)
    assert finding.outcome is Outcome.OK, finding  # there is no rule
    assert "4 schedules, 2 cron and delayed executions" in finding.detail

    planned = await place.document("lifecycle", "plan", "--days", "45", code=1)
    warnings = {each["id"]: each for each in planned["scheduled_inputs"]["warnings"]}
    assert set(warnings) == {"daily", "manual", "paused", "cron", "delayed"}
    assert all(44.9 < each["days_left"] <= 45 for each in warnings.values())
    assert "unless a run renews it" in warnings["daily"]["text"]
    assert "no next run is planned" in warnings["manual"]["text"]
    assert "paused" in warnings["paused"]["text"]
    assert "too late" in warnings["delayed"]["text"]
    assert warnings["cron"]["kind"] == "cron execution"

    applied = await place.run("lifecycle", "apply", "--days", "45", "--yes")
    assert applied.returncode == 0, applied.stderr
    assert "warning: the input of schedule 'daily' expires: 45.0 days left" in applied.stdout
    assert "mistral-offload blobs renew --schedules --renew" in applied.stdout

    finding = await examined(place, local_platform)
    assert finding.outcome is Outcome.WARNING
    assert "schedule 'manual' expires: 45.0 days left" in finding.detail
    assert "blobs renew" in str(finding.remedy)

    place.store.delete(place.key_of("daily-run"))
    finding = await examined(place, local_platform)
    assert finding.outcome is Outcome.WARNING  # perhaps its workers use another store
    assert finding.detail.startswith("the input of schedule 'daily' is missing")
    finding = await examined(place, local_platform, temporal_task_queue=QUEUE)
    assert finding.outcome is Outcome.FAILED


async def test_renew(place: Place) -> None:
    stored = ("daily-run", "manual-run", "paused-run", "cron", "delayed", "running")
    before = {name: place.modified(name) for name in stored}
    await asyncio.sleep(1.1)  # S3's times have seconds
    young = await place.document("blobs", "renew")
    assert (young["dry_run"], young["schedules"], young["cron_and_delayed"]) == (True, 4, 2)
    assert (young["young"]["blobs"], young["old"]["blobs"]) == (5, 0)

    planned = await place.document("blobs", "renew", "--min-age-days", "0")
    assert (planned["old"]["blobs"], planned["renewed"]["blobs"]) == (5, 0)
    assert {name: place.modified(name) for name in stored} == before

    renewed = await place.document("blobs", "renew", "--min-age-days", "0", "--renew")
    assert renewed["renewed"]["blobs"] == 5
    assert renewed["renewed"]["bytes"] > 5 * len(LONG)
    after = {name: place.modified(name) for name in stored}
    assert {name for name in stored if after[name] > before[name]} == {*stored} - {"running"}

    await asyncio.sleep(1.1)
    arguments = ("--no-schedules", "--open-executions", "--min-age-days", "0", "--renew")
    renewed = await place.document("blobs", "renew", *arguments)
    assert (renewed["open_executions"], renewed["renewed"]["blobs"]) == (3, 3)
    assert place.modified("running") > after["running"]
    assert place.modified("daily-run") == after["daily-run"]

    place.store.delete(place.key_of("manual-run"))
    told = await place.run("blobs", "renew", "--min-age-days", "0")
    assert told.returncode == 1
    assert "missing: temporal-payload/" in told.stdout
    assert "referred to by schedule 'manual'" in told.stdout
    assert "would be renewed" in told.stdout


async def test_renew_the_memo_and_the_files_of_a_schedule(place: Place) -> None:
    """The memo belongs to no execution; the files have chunks that only their manifests name."""
    encryption = {"mode": "full", "main_key": "6b" * 32, "encrypt_fields": "true"}
    with place.variables.open("a") as variables:
        for name, text in encryption.items():
            variables.write(f"\nTEMPORAL_PAYLOAD_ENCRYPTION__{name.upper()}={text}")
    cipher = FieldCipher(Cipher(PayloadEncryptionConfig.model_validate(encryption)), encrypts=True)
    files = [store_file(place.store, each) for each in (NO_CIPHER, cipher)]
    references = [{"value": None, "blob_ref": key} for key in files]
    action = ScheduleActionStartWorkflow("run", references, id="remembered-run", task_queue=QUEUE)
    await place.client.create_schedule(
        "remembered", Schedule(action=action, spec=ScheduleSpec()), memo={"m": LONG}
    )

    async def listed() -> bool:
        return "remembered" in [entry.id async for entry in await place.client.list_schedules()]

    await until(listed)
    before = place.modified("@unowned")
    files_before = {each.key: each.modified for each in place.store.list(FILES)}
    await asyncio.sleep(1.1)  # S3's times have seconds
    await place.document("blobs", "renew", "--min-age-days", "0", "--renew")
    assert place.modified("@unowned") > before
    files_after = {each.key: each.modified for each in place.store.list(FILES)}
    assert len(files_after) == 2 * (1 + 3)  # a manifest and three chunks of each
    assert all(files_after[key] > files_before[key] for key in files_before)
    lost = next(key for key in files_after if "/chunk-" in key)
    place.store.delete(lost)
    told = await place.run("blobs", "renew", "--min-age-days", "0")
    assert told.returncode == 1
    assert f"missing: {lost}: referred to by schedule 'remembered'" in told.stdout.replace("\n", "")


FILES = root_of_execution("acme", "sent-1")


def store_file(store: BlobStore, cipher: FieldCipher) -> str:
    """Store a file of a client, in small chunks; return its key."""
    upload = FileUpload(
        BlobCache(store).without_content(),
        cipher,
        FILES,
        name="talk.wav",
        content_type=None,
        chunk_bytes=1000,
        meter=ProgressMeter(None, None),
    )
    upload.write(random.Random(1).randbytes(2500))
    return upload.finish().key


async def test_another_namespace(place: Place) -> None:
    namespace = place.world.client.namespace
    place.variables.write_text(place.variables.read_text().replace(namespace, "elsewhere"))
    found = await place.document("blobs", "renew", "--namespace", namespace)
    assert (found["namespace"], found["young"]["blobs"]) == (namespace, 5)


async def test_misuse(place: Place) -> None:
    ended = await place.run("blobs", "renew", "--no-schedules")
    assert ended.returncode == 2
    assert "--open-executions" in ended.stderr


async def test_a_schedule_updated_with_its_own_description(place: Place) -> None:
    """Temporalio adds an empty payload to its action, as static details."""
    action = ScheduleActionStartWorkflow(
        "run", LONG, id="updated-run", task_queue=QUEUE, static_summary="nightly"
    )
    schedule = Schedule(action=action, spec=ScheduleSpec())
    handle = await place.client.create_schedule("updated", schedule)
    await handle.update(lambda given: ScheduleUpdate(schedule=given.description.schedule))
    found = (await handle.describe()).raw_description.schedule.action.start_workflow
    assert found.user_metadata.HasField("details")
    assert found.user_metadata.details == Payload()

    async def is_listed() -> bool:
        return "updated" in {each.id async for each in await place.client.list_schedules()}

    await until(is_listed)
    planned = await place.document("blobs", "renew", "--min-age-days", "0")
    assert (planned["schedules"], planned["old"]["blobs"]) == (5, 6)


async def test_an_empty_payload_in_a_history(place: Place) -> None:
    empty = RawValue(Payload())
    await place.client.start_workflow("run", empty, id="empty", task_queue=QUEUE)
    report = await place.document("inspect", "empty")
    (payload,) = report["payloads"]
    assert (payload["stored_size"], payload["transforms"], payload["errors"]) == (0, [], [])
    (shown,) = (await place.document("inspect", "empty", "--event", "1"))["payloads"]
    assert (shown["decoded_size"], shown["text"], shown["errors"]) == (0, "", [])
