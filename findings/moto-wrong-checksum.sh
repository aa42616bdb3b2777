#!/usr/bin/env bash
# moto stores an object whose declared checksum is wrong.
#
# Versions: moto 5.1.22, boto3 1.44.5. Seen with CPython 3.11.
# One would guess: a stand-in for S3 refuses a body that does not match x-amz-checksum-sha256, as S3
#   does with 400 BadDigest.
# What happens: the put returns 200, and the object is read back without an error.
# It matters because a test of damaged uploads passes against moto without testing anything.
# Output seen:
#   put with the checksum of other bytes: 200, stored b'content'
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    boto3==1.44.5 'moto[s3]==5.1.22' flask==3.1.3 flask-cors==6.0.5
"$folder/venv/bin/python" - <<'PYTHON'
import base64
import hashlib
import os
import socket
import subprocess
import sys
import time

import boto3
from botocore.config import Config

with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
program = os.path.join(os.path.dirname(sys.executable), "moto_server")
server = subprocess.Popen([program, "-H", "127.0.0.1", "-p", str(port)],
                          stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
try:
    deadline = time.monotonic() + 60
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            break
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.1)
    client = boto3.client(
        "s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
        aws_access_key_id="key", aws_secret_access_key="not-a-real-secret",
        config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
    )
    client.create_bucket(Bucket="findings")
    wrong = base64.b64encode(hashlib.sha256(b"other bytes").digest()).decode()
    response = client.put_object(
        Bucket="findings", Key="key", Body=b"content", ChecksumSHA256=wrong
    )
    status = response["ResponseMetadata"]["HTTPStatusCode"]
    stored = client.get_object(Bucket="findings", Key="key")["Body"].read()
    print(f"put with the checksum of other bytes: {status}, stored {stored}")
    assert (status, stored) == (200, b"content")
finally:
    server.terminate()
    server.wait()
PYTHON
