"""Inputs of schedules, which the platform stores itself."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import httpx
import pydantic
import pytest

from mistral_offload.api.models import ScheduleDefinition, ScheduleInterval
from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import PayloadTooLargeError
from mistral_offload.limits import INLINE_LIMIT_BYTES
from mistral_offload.payload.jsontext import load_json
from tests._async.calls import call_async
from tests._async.recorder import Recording, make_client

MADE = httpx.Response(201, json={"schedule_id": "s"})


def settings(path: Path, *, offloads: bool) -> dict[str, Any]:
    if not offloads:
        return {}
    storage = BlobStorageConfig(storage_provider="local", path=path)
    return {"workflow_payload_offloading": PayloadOffloadingConfig(storage_config=storage)}


@pytest.mark.parametrize("offloads", [True, False])
@pytest.mark.parametrize("operation", ["schedule_workflow", "update_schedule"])
async def test_an_input_over_the_limit_is_refused(
    operation: str, offloads: bool, tmp_path: Path
) -> None:
    recording = Recording([MADE])
    client = make_client(recording, **settings(tmp_path, offloads=offloads))
    schedule = {"input": "x" * (INLINE_LIMIT_BYTES - 1)}
    name = {"schedule_id": "s"} if operation == "update_schedule" else {}
    with pytest.raises(PayloadTooLargeError, match="cannot be offloaded") as caught:
        await call_async(client, f"workflows.schedules.{operation}", {**name, "schedule": schedule})
    assert caught.value.size == INLINE_LIMIT_BYTES + 1
    assert not recording.requests


@pytest.mark.parametrize("offloads", [True, False])
async def test_an_input_up_to_the_limit_is_sent(offloads: bool, tmp_path: Path) -> None:
    recording = Recording([MADE])
    client = make_client(recording, **settings(tmp_path, offloads=offloads))
    schedule = {"input": "x" * (INLINE_LIMIT_BYTES - 2)}
    await client.workflows.schedules.schedule_workflow_async(
        workflow_identifier="w", schedule=schedule
    )
    sent = load_json(recording.requests[0].content)["schedule"]["input"]
    assert ("input_hash" in sent) == offloads
    assert len(recording.requests[0].content) > INLINE_LIMIT_BYTES


async def test_a_schedule_may_be_a_model_with_any_input(tmp_path: Path) -> None:
    class Report(pydantic.BaseModel):
        day: str

    recording = Recording([MADE])
    client = make_client(recording, **settings(tmp_path, offloads=True))
    schedule = ScheduleDefinition(
        input=Report(day="today"), intervals=[ScheduleInterval(every="30m")]
    )
    await client.workflows.schedules.schedule_workflow_async(
        workflow_identifier="w", schedule=schedule
    )
    sent = load_json(recording.requests[0].content)["schedule"]
    assert sent["intervals"] == [{"every": "30m"}]
    assert sent["input"]["input_hash"] == hashlib.sha256(b'{"day":"today"}').hexdigest()
    assert schedule.input == Report(day="today")


async def test_a_schedule_of_another_shape_is_refused_before_it_leaves() -> None:
    recording = Recording([MADE])
    with pytest.raises(ValueError, match="input"):
        await make_client(recording).workflows.schedules.schedule_workflow_async(
            workflow_identifier="w", schedule={"cron_expressions": ["* * * * *"]}
        )
    assert not recording.requests
