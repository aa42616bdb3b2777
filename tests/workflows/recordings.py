"""Workflows with offloadable fields, in a separate module because the sandbox imports it."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from datetime import timedelta
from typing import Annotated

import mistral_offload.workflows as workflows
from mistral_offload.workflows import OffloadableField, OffloadableModel, Restoring, workflow

MEGABYTES = 20
HEARTBEAT_TIMEOUT = timedelta(seconds=2)
attempts: Counter[str] = Counter()
seen: dict[str, object] = {}


class Recording(OffloadableModel):
    name: str
    audio: OffloadableField[bytes]
    transcript: OffloadableField[str] = OffloadableField(value="")


class Digest(OffloadableModel):
    sha256: str
    is_offloaded: bool
    size: int | None


@workflows.activity()
async def record(name: str) -> Recording:
    noise = hashlib.sha256(name.encode()).digest() * (MEGABYTES * 1_000_000 // 32)
    return Recording(name=name, audio=OffloadableField(value=noise))


@workflows.activity(retry_policy=workflows.RetryPolicy(initial_interval=timedelta(seconds=0.05)))
async def clean(recording: Recording) -> Recording:
    attempts["clean", recording.name] += 1
    audio = recording.audio.get_value()
    cleaned = Recording(name=recording.name, audio=OffloadableField(value=audio[::-1]))
    if attempts["clean", recording.name] == 1:
        # As when the worker dies after the upload: the blob exists, the result does not.
        await workflows_offloader().offload_async(cleaned, **place())
        raise RuntimeError("the first attempt always fails")
    return cleaned


@workflows.activity()
def digest(recording: Recording) -> Digest:
    """Return a digest; a plain function, so it runs in a thread of the worker."""
    field = recording.audio
    found = hashlib.sha256(field.get_value()).hexdigest()
    return Digest(sha256=found, is_offloaded=field.is_offloaded, size=field.size_bytes)


@workflows.activity()
async def peek(
    recording: Annotated[Recording, Restoring(lazy=True)], also: OffloadableField[bytes]
) -> Digest:
    field = recording.audio
    early = (field.is_offloaded, field.size_bytes, field.value)
    loaded = await field.load()
    assert early[2] is None
    assert loaded == also.get_value()
    return Digest(sha256=hashlib.sha256(loaded).hexdigest(), is_offloaded=early[0], size=early[1])


@workflow.define(name="recordings")
class Recordings:
    @workflow.entrypoint
    async def run(self, name: str) -> list[Digest]:
        recorded = await record(name)
        cleaned = await clean(recorded)
        first = await digest(cleaned)
        second = await peek(cleaned, cleaned.audio)
        own = cleaned.audio
        return [
            first,
            second,
            Digest(sha256="", is_offloaded=own.is_offloaded, size=own.size_bytes),
        ]


@workflow.define(name="reads-in-workflow")
class ReadsInWorkflow:
    @workflow.entrypoint
    async def run(self, name: str, load: bool = False) -> int:
        recorded = await record(name)
        value = await recorded.audio.load() if load else recorded.audio.get_value()
        return len(value)


@workflow.define(name="small-in-workflow", failure_exception_types=())
class SmallInWorkflow:
    @workflow.entrypoint
    async def run(self, name: str) -> str:
        return (await label(name)).transcript.get_value()


@workflows.activity()
async def label(name: str) -> Recording:
    return Recording(
        name=name,
        audio=OffloadableField(value=b""),
        transcript=OffloadableField(value="small"),
    )


@workflows.activity(heartbeat_timeout=HEARTBEAT_TIMEOUT, retry_policy_max_attempts=1)
def listen(recording: Recording) -> Recording:
    workflows.heartbeat("half", 1)
    return Recording(name="heard", audio=OffloadableField(value=recording.audio.get_value()[1:]))


@workflows.activity(
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=workflows.RetryPolicy(
        initial_interval=timedelta(seconds=0.05), maximum_attempts=3
    ),
)
async def resume(recording: Recording) -> list[str]:
    """Fail twice; the last attempt must see the heartbeat details of the first."""
    info = workflows.activity_info()
    if info.attempt == 1:
        workflows.heartbeat("half", 1)
    if info.attempt < 3:
        await asyncio.sleep(0.1)
        raise RuntimeError("the first attempts always fail")
    return [str(detail) for detail in info.heartbeat_details]


@workflow.define(name="slow-transfers")
class SlowTransfers:
    @workflow.entrypoint
    async def run(self, name: str) -> list[str]:
        heard = await listen(await record(name))
        return await resume(heard)


@workflow.define(name="broken-references")
class BrokenReferences:
    @workflow.entrypoint
    async def run(self, key: str) -> Digest:
        return await digest(Recording(name="n", audio=OffloadableField(blob_ref=key)))


@workflows.activity(retry_policy_max_attempts=1)
async def hear(recording: Recording) -> int:
    return len(recording.audio.get_value())


@workflows.activity(retry_policy_max_attempts=1)
async def hear_later(recording: Annotated[Recording, Restoring(lazy=True)]) -> int:
    return len(await recording.audio.load())


@workflow.define(name="hears-once")
class HearsOnce:
    @workflow.entrypoint
    async def run(self, key: str, lazy: bool) -> int:
        recording = Recording(name="n", audio=OffloadableField(blob_ref=key))
        return await (hear_later(recording) if lazy else hear(recording))


def workflows_offloader() -> workflows.FieldOffloader:
    offloader = seen["offloader"]
    assert isinstance(offloader, workflows.FieldOffloader)
    return offloader


def place() -> dict[str, str]:
    info = workflows.activity_info()
    return {"namespace": info.workflow_namespace or "", "run_id": info.workflow_run_id or ""}


CLASSES = [
    *(Recordings, ReadsInWorkflow, SmallInWorkflow, SlowTransfers, BrokenReferences, HearsOnce),
]
ACTIVITIES = [record, clean, digest, peek, label, listen, resume, hear, hear_later]
