"""Transcribes and summarizes a recording; the workflow never loads audio or transcript."""

import hashlib

from pydantic import BaseModel

import mistral_offload.workflows as workflows
from mistral_offload.workflows import OffloadableField, OffloadableModel


class Recording(OffloadableModel):
    audio_id: str
    audio: OffloadableField[bytes]


class Transcript(OffloadableModel):
    audio_id: str
    text: OffloadableField[str]


class Summary(BaseModel):
    audio_id: str
    characters: int
    words: int
    moved_bytes: int = 0


@workflows.activity()
async def fetch(audio_id: str) -> Recording:
    """Simulate a download: 20 MB of binary data."""
    noise = hashlib.sha256(audio_id.encode()).digest() * 625_000
    return Recording(audio_id=audio_id, audio=OffloadableField(value=noise))


@workflows.activity()
async def transcribe(recording: Recording) -> Transcript:
    """Simulate speech recognition: one word per four bytes."""
    audio = recording.audio.get_value()
    text = " ".join(f"word{number}" for number in range(len(audio) // 4))
    return Transcript(audio_id=recording.audio_id, text=OffloadableField(value=text))


@workflows.activity()
def summarize(transcript: Transcript) -> Summary:
    """Summarize; as a plain function, it runs in a thread of the worker."""
    text = transcript.text.get_value()
    return Summary(audio_id=transcript.audio_id, characters=len(text), words=text.count(" ") + 1)


@workflows.workflow.define(name="transcribe-and-summarize")
class TranscribeWorkflow:
    @workflows.workflow.entrypoint
    async def run(self, audio_id: str) -> Summary:
        recording = await fetch(audio_id)
        transcript = await transcribe(recording)
        summary = await summarize(transcript)
        # Sizes are available in workflow code without loading the values.
        summary.moved_bytes = sum(
            field.size_bytes or 0 for field in (recording.audio, transcript.text)
        )
        return summary
