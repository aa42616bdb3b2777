#!/usr/bin/env bash
# The official worker stores a field of bytes as it is, and yet refuses bytes that are not UTF-8.
#
# Versions: mistralai-workflows 3.16.0, mistralai 2.10.1, temporalio 1.29.0, aioboto3 12.4.0, localbucket 1.2.1.
#   Seen with CPython 3.12, which it needs.
# One would guess: an OffloadableField[bytes] is for audio or images; its bytes go to the bucket, and only
#   their key is JSON.
# What happens: before it offloads, the worker writes the whole result as JSON to learn its size. Bytes that
#   are not UTF-8 fail there, whatever their size, so the activity fails. Text as bytes is stored as it is, and
#   reading has no such limit: other bytes under the same key are restored.
# It matters because such a field works in every test with text, and fails with the first recording.
# Output seen:
#   text: stored 2000000 bytes
#   a recording: PydanticSerializationError: invalid utf-8 sequence of 1 bytes from index 0
#   a recording that is there: restored 2000000 bytes
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"${PYTHON:-python3}" -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    mistralai-workflows==3.16.0 mistralai==2.10.1 temporalio==1.29.0 aioboto3==12.4.0 boto3==1.34.69 \
    botocore==1.34.69 localbucket==1.2.1
FOLDER=$folder "$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import os
import pathlib
import socket
import subprocess
import sys
import time

from mistralai.workflows.core.config.config import BlobStorageConfig, PayloadOffloadingConfig
from mistralai.workflows.core.encoding.fields_offloader import (
    FieldsOffloader,
    OffloadableField,
    OffloadableModel,
)

FOLDER = pathlib.Path(os.environ["FOLDER"]) / "buckets"
(FOLDER / "findings").mkdir(parents=True)
RECORDING = b"\xff\xfe" * 1_000_000


class Talk(OffloadableModel):
    audio: OffloadableField[bytes]


def offloader(port):
    storage = BlobStorageConfig(
        bucket_name="findings",
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="access",
        aws_secret_access_key="secret",
    )
    return FieldsOffloader(PayloadOffloadingConfig(storage_config=storage, min_size_bytes=1))


async def main(port):
    fields = offloader(port)
    text = Talk(audio=OffloadableField[bytes](value=b"ab" * 1_000_000))
    text = await fields.offload_if_needed(text, "team", "run")
    stored = FOLDER / "findings" / text.audio.blob_ref
    print(f"text: stored {stored.stat().st_size} bytes")
    assert stored.read_bytes() == b"ab" * 1_000_000
    for size in (2, len(RECORDING)):
        recording = Talk(audio=OffloadableField[bytes](value=RECORDING[:size]))
        try:
            await fields.offload_if_needed(recording, "team", "run")
        except Exception as error:
            name, reason = type(error).__name__, str(error).rpartition(": ")[2]
        else:
            raise AssertionError("it was stored")
    print(f"a recording: {name}: {reason}")
    assert name == "PydanticSerializationError"
    assert reason.startswith("invalid utf-8")
    stored.write_bytes(RECORDING)
    restored = await fields.restore_if_needed(text)
    print(f"a recording that is there: restored {len(restored.audio.get_value())} bytes")
    assert restored.audio.get_value() == RECORDING


with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
binary = os.path.join(os.path.dirname(sys.executable), "localbucket")
server = subprocess.Popen(
    [binary, "--port", str(port), str(FOLDER)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
)
try:
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
    asyncio.run(main(port))
finally:
    server.terminate()
    server.wait()
PYTHON
