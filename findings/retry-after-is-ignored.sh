#!/usr/bin/env bash
# Four storage SDKs ignore Retry-After: boto3, azure-storage-blob, google-cloud-storage and obstore.
#
# Versions: boto3 1.44.5, azure-storage-blob 12.31.1, google-cloud-storage 3.17.1, obstore 0.12.1, against a
#   server of Python's standard library. Seen with CPython 3.11.
# One would guess: a client that retries 503 honours the header that says when; azure-core's own retry policy
#   does.
# What happens: with "Retry-After: 5" all four send the request again after their own back-off, here
#   before 4.5 s have passed. azure-storage-blob also gives up at the first 429, which the other three retry.
# It matters because a service that asks for time, during throttling, does not get it, and a longer wait has
#   to be programmed above these clients.
# Output seen:
#   boto3: sent again before 4.5 s; 429 is retried
#   azure-storage-blob: sent again before 4.5 s; 429 is not retried
#   google-cloud-storage: sent again before 4.5 s; 429 is retried
#   obstore: sent again before 4.5 s; 429 is retried
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    boto3==1.44.5 azure-storage-blob==12.31.1 google-cloud-storage==3.17.1 obstore==0.12.1
"$folder/venv/bin/python" - <<'PYTHON'
import base64
import http.server
import logging
import threading
import time

import boto3
from azure.storage.blob import BlobServiceClient
from botocore.config import Config
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage
from obstore.store import S3Store

logging.disable()  # Azure's client logs that a response has no body


class Refusing(http.server.ThreadingHTTPServer):
    """Refuses every request with one status, and records when it came."""

    def __init__(self, status):
        super().__init__(("127.0.0.1", 0), Handler)
        self.status, self.times = status, []
        self.url = f"http://127.0.0.1:{self.server_port}"
        threading.Thread(target=self.serve_forever, daemon=True).start()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def refuse(self):
        self.rfile.read(int(self.headers.get("Content-Length") or 0))
        self.server.times.append(time.monotonic())
        self.send_response(self.server.status)
        self.send_header("Retry-After", "5")
        self.send_header("Content-Length", "0")
        self.end_headers()

    do_GET = do_PUT = do_POST = refuse

    def log_message(self, *args):
        pass


def with_boto3(url):
    client = boto3.client(
        "s3", endpoint_url=url, region_name="us-east-1", aws_access_key_id="access",
        aws_secret_access_key="secret", config=Config(s3={"addressing_style": "path"}),
    )
    client.put_object(Bucket="findings", Key="key", Body=b"x")


def with_azure(url):
    key = base64.b64encode(b"secret").decode()
    service = BlobServiceClient(
        f"{url}/account", credential={"account_name": "account", "account_key": key},
        initial_backoff=0.2, increment_base=1, random_jitter_range=0, retry_total=2,
    )
    service.get_blob_client("findings", "key").upload_blob(b"x")


def with_google(url):
    client = storage.Client(
        project="findings", credentials=AnonymousCredentials(), client_options={"api_endpoint": url}
    )
    retry = storage.retry.DEFAULT_RETRY.with_timeout(4)
    client.bucket("findings").blob("key").upload_from_string(b"x", retry=retry)


def with_obstore(url):
    store = S3Store(
        "findings", endpoint=url, region="us-east-1", access_key_id="access",
        secret_access_key="secret", client_options={"allow_http": True},
        retry_config={"max_retries": 2},
    )
    store.put("key", b"x", use_multipart=False)


def times_of_requests(upload, status):
    server = Refusing(status)
    try:
        upload(server.url)
    except Exception:
        pass  # each client has its own error, and all are refused
    else:
        raise SystemExit("the upload was not refused")
    finally:
        server.shutdown()
        server.server_close()
    return server.times


for name, upload, retries_429 in (
    ("boto3", with_boto3, True),
    ("azure-storage-blob", with_azure, False),
    ("google-cloud-storage", with_google, True),
    ("obstore", with_obstore, True),
):
    times = times_of_requests(upload, 503)
    pause = times[1] - times[0]
    attempts = len(times_of_requests(upload, 429))
    words = "is retried" if attempts > 1 else "is not retried"
    print(f"{name}: sent again {'before' if pause < 4.5 else 'after'} 4.5 s; 429 {words}")
    assert pause < 4.5, (name, pause)
    assert (attempts > 1) is retries_429, (name, attempts)
PYTHON
