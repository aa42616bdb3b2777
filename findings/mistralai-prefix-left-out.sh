#!/usr/bin/env bash
# The official client leaves out a prefix with which "temporal-payload" begins.
#
# Versions: mistralai 3.7.0, aioboto3 15.5.0, localbucket 1.2.1. Seen with CPython 3.11.
# One would guess: a prefix is a folder, and all blobs are written below it, whatever its name is.
# What happens: the client adds the prefix unless the key begins with it already, and compares characters,
#   not folders. Keys begin with "temporal-payload/", so with the prefixes "temporal" and "t" blobs are
#   written to the top of the bucket. With "data" and "temporal-blobs" they are below the prefix.
# It matters because two deployments that share a bucket, one with the prefix "temporal" and one without,
#   share their blobs, and a lifecycle rule or a permission for "temporal/" applies to nothing.
# Output seen:
#   data: data/temporal-payload/team/run
#   temporal-blobs: temporal-blobs/temporal-payload/team/run
#   temporal: temporal-payload/team/run
#   t: temporal-payload/team/run
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    mistralai==3.7.0 aioboto3==15.5.0 boto3==1.40.61 botocore==1.40.61 localbucket==1.2.1
FOLDER=$folder "$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import os
import pathlib
import socket
import subprocess
import sys
import time

from mistralai.extra.workflows.encoding.config import (
    BlobStorageConfig,
    PayloadOffloadingConfig,
    WorkflowEncodingConfig,
)
from mistralai.extra.workflows.encoding.models import WorkflowContext
from mistralai.extra.workflows.encoding.payload_encoder import PayloadEncoder

FOLDER = pathlib.Path(os.environ["FOLDER"]) / "buckets"
(FOLDER / "findings").mkdir(parents=True)
EXPECTED = {
    "data": "data/temporal-payload/team/run",
    "temporal-blobs": "temporal-blobs/temporal-payload/team/run",
    "temporal": "temporal-payload/team/run",
    "t": "temporal-payload/team/run",
}
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]


async def offload(prefix):
    storage = BlobStorageConfig(
        bucket_name="findings",
        prefix=prefix,
        region_name="us-east-1",
        endpoint_url=f"http://127.0.0.1:{port}",
        aws_access_key_id="access",
        aws_secret_access_key="secret",
    )
    offloading = PayloadOffloadingConfig(storage_config=storage, min_size_bytes=1)
    encoder = PayloadEncoder(WorkflowEncodingConfig(payload_offloading=offloading))
    context = WorkflowContext(namespace="team", execution_id="run")
    await encoder.encode_payload_content(f'"{prefix}"', context)


def blobs():
    """Return the keys in the bucket, which this server keeps as files."""
    files = (FOLDER / "findings").rglob("sha256:*")
    return {path.relative_to(FOLDER / "findings").as_posix() for path in files}


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
    for prefix, expected in EXPECTED.items():
        before = blobs()
        asyncio.run(offload(prefix))
        (key,) = blobs() - before
        folder = key.rpartition("/")[0]
        print(f"{prefix}: {folder}")
        assert folder == expected, (prefix, key)
finally:
    server.terminate()
    server.wait()
PYTHON
