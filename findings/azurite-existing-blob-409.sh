#!/usr/bin/env bash
# A create-only upload over an existing blob fails with 409, not with 412 (Azurite).
#
# Versions: azurite 3.37.0, azure-storage-blob 12.31.1. Seen with CPython 3.11 and Node 20.
# One would guess: If-None-Match: * is a precondition, so it fails with 412 Precondition Failed, as
#   in HTTP, in S3 and in Google Cloud Storage.
# What happens: the service returns 409 BlobAlreadyExists. If-Match with another ETag fails with 412.
# It matters because code that maps 412 to "exists already" takes 409 for a fault, and retries it.
# Output seen:
#   If-None-Match: *: 409 BlobAlreadyExists
#   If-Match: 412 ConditionNotMet
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check azure-storage-blob==12.31.1
npm install --silent --no-audit --no-fund --prefix "$folder" azurite@3.37.0
FOLDER=$folder "$folder/venv/bin/python" - <<'PYTHON'
import os
import socket
import subprocess
import time

from azure.core import MatchConditions
from azure.core.exceptions import HttpResponseError
from azure.storage.blob import BlobServiceClient

FOLDER = os.environ["FOLDER"]
# The well-known account of every Azurite.
ACCOUNT, KEY = "devstoreaccount1", (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
server = subprocess.Popen(
    ["node", f"{FOLDER}/node_modules/azurite/dist/src/blob/main.js", "--blobHost", "127.0.0.1",
     "--blobPort", str(port), "--silent", "--inMemoryPersistence", "--disableTelemetry",
     "--skipApiVersionCheck"],
    cwd=FOLDER,
    stdout=subprocess.DEVNULL,
)


def refusal(upload):
    try:
        upload()
    except HttpResponseError as error:
        return error.status_code, str(getattr(error.error_code, "value", error.error_code))
    raise SystemExit("the blob was overwritten")


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
    service = BlobServiceClient.from_connection_string(
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
        f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
    )
    container = service.create_container("findings")
    blob = container.get_blob_client("blob")
    blob.upload_blob(b"first")
    status, code = refusal(
        lambda: blob.upload_blob(b"second", match_condition=MatchConditions.IfMissing)
    )
    print(f"If-None-Match: *: {status} {code}")
    assert (status, code) == (409, "BlobAlreadyExists")
    status, code = refusal(
        lambda: blob.upload_blob(
            b"second", overwrite=True, etag='"0x1"', match_condition=MatchConditions.IfNotModified
        )
    )
    print(f"If-Match: {status} {code}")
    assert (status, code) == (412, "ConditionNotMet")
    assert blob.download_blob().readall() == b"first"
finally:
    server.terminate()
    server.wait()
PYTHON
