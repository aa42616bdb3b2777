#!/usr/bin/env bash
# The official client takes an outage of Google's storage for a missing blob, if the blob's key contains "404".
#
# Versions: mistralai 3.7.0, gcloud-aio-storage 9.6.5, against a server of Python's standard library. Seen with
#   CPython 3.11.
# One would guess: BlobNotFoundError means that the service said so, with status 404.
# What happens: the client looks for "404" in the text of any error, and that text contains the URL. Keys end in
#   the hexadecimal digest of the content, so 1.5 % of all blobs have "404" in their keys. For these, 503 is
#   reported as a blob that is not there.
# It matters because a missing blob is final and an outage is not: code that tells them apart gives up one
#   blob of about 67 in every outage.
# Output seen:
#   503 for a digest without 404: ClientResponseError, exists: ClientResponseError
#   503 for a digest with 404: BlobNotFoundError, exists: False
#   digests with 404: 1.5 %
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    mistralai==3.7.0 gcloud-aio-storage==9.6.5
"$folder/venv/bin/python" - <<'PYTHON'
import asyncio
import hashlib
import http.server
import os
import threading


class Unavailable(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(503)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *args):
        pass


while True:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Unavailable)
    if "404" not in str(server.server_port):  # the port is part of the URL, too
        break
    server.server_close()
threading.Thread(target=server.serve_forever, daemon=True).start()
# Read when the library is imported: the address of an emulator instead of Google's.
os.environ["STORAGE_EMULATOR_HOST"] = f"http://127.0.0.1:{server.server_port}"

from mistralai.extra.workflows.encoding.config import BlobStorageConfig
from mistralai.extra.workflows.encoding.storage.blob_storage import get_blob_storage

CONFIG = BlobStorageConfig(storage_provider="gcs", bucket_id="findings")


async def outcome(call):
    try:
        return str(await call)
    except Exception as error:
        return type(error).__name__


def digest(number):
    return hashlib.sha256(str(number).encode()).hexdigest()


async def main():
    without = next(digest(number) for number in range(1000) if "404" not in digest(number))
    with_404 = next(digest(number) for number in range(1000) if "404" in digest(number))
    async with get_blob_storage(CONFIG) as blobs:
        for name, key_digest, expected in (
            ("without", without, ("ClientResponseError", "ClientResponseError")),
            ("with", with_404, ("BlobNotFoundError", "False")),
        ):
            key = f"temporal-payload/namespace/execution/sha256:{key_digest}"
            read = await outcome(blobs.get_blob(key))
            exists = await outcome(blobs.blob_exists(key))
            print(f"503 for a digest {name} 404: {read}, exists: {exists}")
            assert (read, exists) == expected, (name, read, exists)
    share = sum("404" in digest(number) for number in range(100_000)) / 1000
    print(f"digests with 404: {share:.1f} %")
    assert 1.4 <= share <= 1.6, share


try:
    asyncio.run(main())
finally:
    server.shutdown()
    server.server_close()
PYTHON
