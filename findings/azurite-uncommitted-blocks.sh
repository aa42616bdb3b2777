#!/usr/bin/env bash
# Azurite refuses to create a blob that does not exist, if a block of it was staged and never committed.
#
# Versions: azurite 3.37.0, azure-storage-blob 12.31.1. Seen with CPython 3.11 and Node 20.
# One would guess: staged blocks are no blob. exists() says so, the listing does not have it, so a
#   create-only upload creates it.
# What happens: the upload fails with 409 BlobAlreadyExists, and there is still no blob. An upload that may
#   overwrite succeeds.
# It matters because a writer that dies in the middle of an upload leaves such blocks. The next one takes
#   409 for "stored already", and the blob is missing when it is read.
# Output seen:
#   exists: False, listed: 0
#   create-only upload: 409 BlobAlreadyExists
#   exists: False, listed: 0
#   upload that may overwrite: stored
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    azure-storage-blob==12.31.1
npm install --silent --no-audit --no-fund --prefix "$folder" azurite@3.37.0
FOLDER=$folder "$folder/venv/bin/python" - <<'PYTHON'
import os
import socket
import subprocess
import time

from azure.core.exceptions import ResourceExistsError
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


def outcome(upload):
    try:
        upload()
    except ResourceExistsError as error:
        return f"{error.status_code} {getattr(error.error_code, 'value', error.error_code)}"
    return "stored"


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
    container = BlobServiceClient.from_connection_string(
        f"DefaultEndpointsProtocol=http;AccountName={ACCOUNT};AccountKey={KEY};"
        f"BlobEndpoint=http://127.0.0.1:{port}/{ACCOUNT};"
    ).create_container("findings")
    blob = container.get_blob_client("blob")
    blob.stage_block("AAAA", b"the first block of an upload that was interrupted")

    def expect_no_blob():
        listed = len(list(container.list_blobs()))
        print(f"exists: {blob.exists()}, listed: {listed}")
        assert not blob.exists() and listed == 0

    expect_no_blob()
    created = outcome(lambda: blob.upload_blob(b"content"))
    print("create-only upload:", created)
    assert created == "409 BlobAlreadyExists", created
    expect_no_blob()
    overwritten = outcome(lambda: blob.upload_blob(b"content", overwrite=True))
    print("upload that may overwrite:", overwritten)
    assert overwritten == "stored" and blob.download_blob().readall() == b"content"
finally:
    server.terminate()
    server.wait()
PYTHON
