"""Transcribes a recording of any size; no activity reads more of it than it needs."""

import asyncio
import shutil
import wave
from itertools import pairwise

from measurement import Measures, measured
from pydantic import BaseModel
from sound import RATE, SECOND_BYTES, recognize

import mistral_offload.workflows as workflows
from mistral_offload.workflows import OffloadableFile

PARTS = 5


class Part(BaseModel):
    """A range of the recording, in bytes."""

    number: int
    offset: int
    length: int


class Plan(BaseModel):
    parts: list[Part]
    measures: Measures


class Transcript(BaseModel):
    text: OffloadableFile
    measures: Measures


class Result(BaseModel):
    text: OffloadableFile
    plan: Plan
    transcripts: list[Measures]


@workflows.activity()
def split(audio: OffloadableFile) -> Plan:
    """Divide the recording at full seconds; reads its header, and so its first chunk."""
    with measured("split") as measures, audio.open() as file, wave.open(file) as sound:
        frames = sound.getnframes()
    start = audio.size_bytes - 2 * frames
    bounds = [start + SECOND_BYTES * (frames // RATE * k // PARTS) for k in range(PARTS + 1)]
    parts = [
        Part(number=number, offset=begin, length=end - begin)
        for number, (begin, end) in enumerate(pairwise(bounds), start=1)
    ]
    return Plan(parts=parts, measures=measures)


@workflows.activity()
def transcribe(audio: OffloadableFile, part: Part) -> Transcript:
    """Simulate speech recognition in a range: one word a second, one second in memory."""
    name = f"part-{part.number}"
    with (
        measured(name) as measures,
        audio.open(offset=part.offset, length=part.length) as sound,
        OffloadableFile.writer(name=f"{name}.txt", content_type="text/plain") as text,
    ):
        while second := sound.read(SECOND_BYTES):
            text.write(f"{recognize(second)}\n".encode())
    return Transcript(text=text.file, measures=measures)


@workflows.activity()
def join(texts: list[OffloadableFile]) -> OffloadableFile:
    """Write the texts one after the other."""
    with OffloadableFile.writer(name="transcript.txt", content_type="text/plain") as joined:
        for text in texts:
            with text.open() as opened:
                shutil.copyfileobj(opened, joined)
    return joined.file


@workflows.workflow.define(name="transcribe-recording")
class TranscribeRecording:
    @workflows.workflow.entrypoint
    async def run(self, audio: OffloadableFile) -> Result:
        plan = await split(audio)
        transcripts = await asyncio.gather(*(transcribe(audio, part) for part in plan.parts))
        text = await join([each.text for each in transcripts])
        return Result(text=text, plan=plan, transcripts=[each.measures for each in transcripts])
