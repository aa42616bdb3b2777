#!/usr/bin/env bash
# Which bytes-like objects are a body depends on the SDK: azure-storage-blob takes bytes alone.
#
# Versions: boto3 1.44.5, azure-storage-blob 12.31.1, google-cloud-storage 3.17.1, obstore 0.12.1, against a
#   server of Python's standard library. Seen with CPython 3.11.
# One would guess: a bytearray, or a memoryview, is as good a body as bytes, as it is for sockets and files.
# What happens: obstore takes all three, boto3 refuses the memoryview, and the other two refuse both. Azure's
#   client takes a bytearray for a series of parts, and its error speaks of concatenation.
# It matters because a view is how one avoids a copy of a large payload, and with most of these SDKs one
#   copies all the same.
# Output seen:
#   boto3: bytes, bytearray; memoryview: ParamValidationError
#   azure-storage-blob: bytes; bytearray: TypeError, memoryview: TypeError
#   google-cloud-storage: bytes; bytearray: TypeError, memoryview: TypeError
#   obstore: bytes, bytearray, memoryview
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    boto3==1.44.5 azure-storage-blob==12.31.1 google-cloud-storage==3.17.1 obstore==0.12.1
"$folder/venv/bin/python" - <<'PYTHON'
import base64
import http.server
import json
import threading

import boto3
from azure.storage.blob import BlobServiceClient
from botocore.config import Config
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from obstore.store import MemoryStore


class Accepting(http.server.BaseHTTPRequestHandler):
    """Accepts every upload and records its body."""

    protocol_version = "HTTP/1.1"

    def accept(self):
        self.server.received.append(self.rfile.read(int(self.headers["Content-Length"])))
        is_google = self.command == "POST"
        text = json.dumps({"name": "key", "bucket": "findings"}).encode() if is_google else b""
        self.send_response(201 if "x-ms-version" in self.headers else 200)
        for name, value in (
            ("ETag", '"1"'),
            ("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT"),
            ("Content-Type", "application/json"),
            ("Content-Length", str(len(text))),
        ):
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(text)

    do_PUT = do_POST = accept

    def log_message(self, *args):
        pass


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Accepting)
server.received = []
threading.Thread(target=server.serve_forever, daemon=True).start()
url = f"http://127.0.0.1:{server.server_port}"
s3 = boto3.client(
    "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="access",
    aws_secret_access_key="secret", config=Config(s3={"addressing_style": "path"}),
)
azure = BlobServiceClient(
    f"{url}/account",
    credential={
        "account_name": "account",
        "account_key": base64.b64encode(b"secret").decode(),
    },
).get_blob_client("findings", "key")
google = storage.Client(
    project="findings", credentials=AnonymousCredentials(), client_options={"api_endpoint": url}
)
memory = MemoryStore()


def with_obstore(body):
    memory.put("key", body)
    server.received.append(bytes(memory.get("key").bytes()))


try:
    for name, upload, accepted, refused in (
        (
            "boto3",
            lambda body: s3.put_object(Bucket="findings", Key="key", Body=body),
            ["bytes", "bytearray"],
            ["memoryview: ParamValidationError"],
        ),
        (
            "azure-storage-blob",
            azure.upload_blob,
            ["bytes"],
            ["bytearray: TypeError", "memoryview: TypeError"],
        ),
        (
            "google-cloud-storage",
            lambda body: google.bucket("findings").blob("key").upload_from_string(body, checksum=None),
            ["bytes"],
            ["bytearray: TypeError", "memoryview: TypeError"],
        ),
        ("obstore", with_obstore, ["bytes", "bytearray", "memoryview"], []),
    ):
        taken, errors = [], []
        for kind in (bytes, bytearray, memoryview):
            server.received.clear()
            try:
                upload(kind(b"content"))
            except Exception as error:  # each SDK has its own
                errors.append(f"{kind.__name__}: {type(error).__name__}")
            else:
                assert b"content" in server.received[-1], server.received
                taken.append(kind.__name__)
        print(f"{name}: {', '.join(taken)}{'; ' if errors else ''}{', '.join(errors)}")
        assert taken == accepted and errors == refused, (taken, errors)
finally:
    server.shutdown()
    server.server_close()
PYTHON
