"""Makes a recording, sends it, downloads its transcript, and prints what that took."""

import argparse
import os
import sys
import tempfile
import time
from pathlib import Path

from measurement import Measures
from recording import Result
from sound import record
from temporalio.client import WorkflowHistory

from mistral_offload import BlobStorageConfig, Mistral, OffloadableFile, PayloadOffloadingConfig

VARIABLE = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__"
MOST_HISTORY_BYTES = 30_000


def storage() -> BlobStorageConfig:
    """Return the worker's storage, from the same variables."""
    given = {
        name.removeprefix(VARIABLE).lower(): value
        for name, value in os.environ.items()
        if name.startswith(VARIABLE)
    }
    return BlobStorageConfig.model_validate(given)


def main(client: Mistral, megabytes: float, deployment: str | None = None) -> bool:
    """Return True if the transcript is what was recorded, and the history is small."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "recording.wav"
        said = record(path, megabytes)
        began = time.monotonic()
        audio = OffloadableFile.from_path(path)
        started = client.workflows.execute_workflow(
            "transcribe-recording", input={"audio": audio}, deployment_name=deployment
        )
        print(f"sent: {audio.size_bytes:,} bytes in {time.monotonic() - began:.1f} s")
        ended = client.workflows.wait_for_workflow_completion(
            started.execution_id, result_type=Result, timeout_seconds=3600
        )
        result = ended.result
        text = result.text.download_to(folder).read_text()
    seconds = time.monotonic() - began
    print(f"split: read {shown(result.plan.measures)}")
    for part, measures in zip(result.plan.parts, result.transcripts, strict=True):
        print(f"part {part.number}: {part.length:,} bytes from {part.offset:,} on", end="; ")
        print(f"read {shown(measures)}")
    memory = max(measures.memory_bytes for measures in result.transcripts)
    print(f"worker: peak memory grew by {memory / 1e6:.0f} MB")
    size = history_bytes(client, started.execution_id)
    print(f"history: {size:,} bytes, of {MOST_HISTORY_BYTES:,} allowed here")
    is_right = text == said
    print(f"transcript: {len(text.split()):,} words, {'as' if is_right else 'NOT AS'} recorded")
    print(f"in all: {seconds:.1f} s")
    return is_right and size < MOST_HISTORY_BYTES


def shown(measures: Measures) -> str:
    return f"{measures.chunks} chunks, {measures.fetched_bytes:,} bytes"


def history_bytes(client: Mistral, execution_id: str) -> int:
    """Return the size of the execution's history, as Temporal counts it."""
    history = client.workflows.executions.get_workflow_execution_history(
        execution_id, decode_payloads=False
    )
    return sum(e.ByteSize() for e in WorkflowHistory.from_json(execution_id, history).events)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=float, default=1000, help="size of the recording")
    return parser.parse_args()


if __name__ == "__main__":
    offloading = PayloadOffloadingConfig(storage_config=storage())
    megabytes = arguments().megabytes
    with Mistral(
        os.environ["MISTRAL_API_KEY"],
        server_url=os.environ["SERVER_URL"],
        workflow_payload_offloading=offloading,
    ) as client:
        sys.exit(0 if main(client, megabytes, os.environ.get("DEPLOYMENT_NAME")) else 1)
