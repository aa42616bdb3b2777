"""Activities that wait for a file's chunks, in a separate module because the sandbox imports it."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated, Any, ClassVar

import mistral_offload.workflows as workflows
from mistral_offload.workflows import (
    OffloadableField,
    OffloadableFile,
    OffloadableModel,
    Restoring,
    RetryPolicy,
)

CHUNK_BYTES = 8 * 1024 * 1024
HEARTBEAT_TIMEOUT = timedelta(seconds=2)
LARGE = "d" * 1_000_000
NOTE = 0
TAILS = {"none": 1001, "small": 1002, "large": 1003}
"""Sizes of the last chunks, by which the store knows whose they are."""


class Attempts:
    """Heartbeat details of attempts, and events that hold their reads.

    Attributes:
        details: the details of each attempt, by the activity's argument.
        gates: holds the read of a last chunk, by its size.
    """

    details: ClassVar[dict[str, list[Sequence[Any]]]] = {}
    gates: ClassVar[dict[int, threading.Event]] = {}


@workflows.activity()
async def write_slow_file(kind: str) -> OffloadableFile:
    async with OffloadableFile.writer(name=kind) as out:
        await out.write(bytes(CHUNK_BYTES))
        await out.write(bytes(TAILS[kind]))
    return out.file


@workflows.activity(
    heartbeat_timeout=HEARTBEAT_TIMEOUT,
    retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=20), maximum_attempts=3),
)
def read_slow_file(kind: str, file: OffloadableFile) -> int:
    attempts = Attempts.details.setdefault(kind, [])
    Attempts.gates[TAILS[kind]] = threading.Event()
    attempts.append(list(workflows.activity_info().heartbeat_details))
    if len(attempts) == 1 and kind != "none":
        workflows.activity_heartbeat(LARGE if kind == "large" else "mine", 1)
    with file.open() as opened:
        size = len(opened.read())
    if len(attempts) < 3:
        raise RuntimeError("once more")
    return size


class SlowNote(OffloadableModel):
    text: OffloadableField[str]


@workflows.activity()
async def write_slow_note(size: int) -> SlowNote:
    Attempts.gates[NOTE] = threading.Event()
    return SlowNote(text=OffloadableField("x" * size))


@workflows.activity(heartbeat_timeout=HEARTBEAT_TIMEOUT, retry_policy_max_attempts=1)
async def load_slow_note(note: Annotated[SlowNote, Restoring(lazy=True)]) -> int:
    return len(await note.text.load())


@workflows.workflow.define(name="slow-note")
class SlowNotes:
    @workflows.workflow.entrypoint
    async def run(self, size: int) -> int:
        return await load_slow_note(await write_slow_note(size))


@workflows.workflow.define(name="slow-files")
class SlowFiles:
    @workflows.workflow.entrypoint
    async def run(self, kind: str) -> int:
        return await read_slow_file(kind, await write_slow_file(kind))


CLASSES = [SlowFiles, SlowNotes]
ACTIVITIES = [write_slow_file, read_slow_file, write_slow_note, load_slow_note]
