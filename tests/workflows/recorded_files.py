"""Workflows that pass files on, in a separate module because the sandbox imports it."""

from __future__ import annotations

import asyncio
import hashlib
import tempfile
from pathlib import Path

from pydantic import BaseModel

import mistral_offload.workflows as workflows
from mistral_offload.workflows import OffloadableFile

CONTENT = hashlib.sha256(b"talk").digest() * (600_000)  # 19.2 MB
HALF = len(CONTENT) // 2


class Talk(BaseModel):
    title: str
    audio: OffloadableFile
    notes: list[OffloadableFile] = []
    cover: OffloadableFile | None = None


class Report(BaseModel):
    name: str | None
    size: int | None
    sha256: str | None
    content_type: str | None
    half: str
    parts: list[int]


@workflows.activity()
async def record_talk(title: str) -> Talk:
    async with OffloadableFile.writer(name=f"{title}.wav", content_type="audio/wav") as out:
        for start in range(0, len(CONTENT), 3_000_000):
            await out.write(CONTENT[start : start + 3_000_000])
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "notes.txt"
        path.write_text("some notes")
        with OffloadableFile.writer(name="cover.png") as cover:
            cover.write(b"png")
        # The file is stored when the activity returns it, so its content must still be there.
        notes = OffloadableFile.from_bytes(path.read_bytes(), name="notes.txt")
    return Talk(title=title, audio=out.file, notes=[notes], cover=cover.file)


@workflows.activity()
def listen_to_talk(talk: Talk) -> Report:
    """Read a range and the whole; a plain function, so it runs in a thread of the worker."""
    with talk.audio.open(offset=HALF) as half:
        digest = hashlib.sha256(half.read()).hexdigest()
    assert talk.cover is not None
    with tempfile.TemporaryDirectory() as folder:
        files = [talk.audio, *talk.notes, talk.cover]
        parts = [file.download_to(folder).stat().st_size for file in files]
    audio = talk.audio
    return Report(
        name=audio.name,
        size=audio.size_bytes,
        sha256=audio.sha256,
        content_type=audio.content_type,
        half=digest,
        parts=parts,
    )


@workflows.activity()
async def count_file(file: OffloadableFile) -> int:
    return sum([len(chunk) async for chunk in file])


@workflows.activity()
async def cut_talk(count: int) -> list[OffloadableFile]:
    return [
        OffloadableFile.from_bytes(n.to_bytes(2, "big") * 1000, name=f"{n}.wav")
        for n in range(count)
    ]


@workflows.activity()
def join_talk(cuts: list[OffloadableFile]) -> str:
    return hashlib.sha256(b"".join(cut.open().read() for cut in cuts)).hexdigest()


@workflows.workflow.define(name="cut-talks")
class CutTalks:
    @workflows.workflow.entrypoint
    async def run(self, count: int) -> str:
        return await join_talk(await cut_talk(count))


@workflows.workflow.define(name="talks")
class Talks:
    @workflows.workflow.entrypoint
    async def run(self, title: str) -> dict[str, object]:
        talk = await record_talk(title)
        seen = [talk.audio.name, talk.audio.size_bytes, talk.audio.sha256]
        report, counted = await asyncio.gather(listen_to_talk(talk), count_file(talk.audio))
        return {"report": report.model_dump(), "seen": seen, "counted": counted}


@workflows.workflow.define(name="reads-a-file")
class ReadsAFile:
    @workflows.workflow.entrypoint
    async def run(self, title: str) -> int:
        talk = await record_talk(title)
        with talk.audio.open() as audio:
            return len(audio.read())


CLASSES = [Talks, ReadsAFile, CutTalks]
ACTIVITIES = [record_talk, listen_to_talk, count_file, cut_talk, join_talk]
