#!/usr/bin/env bash
# boto3 never compares the checksum of an object that is read by its exact length.
#
# Versions: boto3 1.44.5, against a server of Python's standard library. Seen with CPython 3.11.
# One would guess: if the response has a checksum, the content is compared with it once all of it was read,
#   whichever method reads it. This is on by default.
# What happens: the comparison is made when the body is found to be at its end, by a read that returns
#   nothing more. read() and iter_chunks() get there. read(n) with the object's length, and readinto() of
#   a buffer of this size, return all bytes and compare nothing.
# It matters because reading into a buffer of known size is what one does with large objects: damage on
#   the way then goes unnoticed. One more read(1) makes the comparison.
# Output seen:
#   read(): 5 bytes, 1 comparison
#   iter_chunks(): 5 bytes, 1 comparison
#   read(5): 5 bytes, 0 comparisons
#   readinto() a buffer of 5 bytes: 5 bytes, 0 comparisons
#   read(5), read(1): 5 bytes, 1 comparison
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check \
    boto3==1.44.5
"$folder/venv/bin/python" - <<'PYTHON'
import base64
import http.server
import threading
import zlib
from unittest import mock

import boto3
from botocore.config import Config
from botocore.httpchecksum import StreamingChecksumBody

CONTENT = b"hello"
CHECKSUM = base64.b64encode(zlib.crc32(CONTENT).to_bytes(4, "big")).decode()


class OneObject(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.send_header("ETag", '"1"')
        self.send_header("x-amz-checksum-crc32", CHECKSUM)
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, *args):
        pass


def read_into(body):
    buffer = bytearray(5)
    return buffer[: body.readinto(buffer)]


server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), OneObject)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = boto3.client(
    "s3",
    endpoint_url=f"http://127.0.0.1:{server.server_port}",
    region_name="us-east-1",
    aws_access_key_id="access",
    aws_secret_access_key="secret",
    config=Config(s3={"addressing_style": "path"}),
)
try:
    for name, read, expected in (
        ("read()", lambda body: body.read(), 1),
        ("iter_chunks()", lambda body: b"".join(body.iter_chunks()), 1),
        ("read(5)", lambda body: body.read(5), 0),
        ("readinto() a buffer of 5 bytes", read_into, 0),
        ("read(5), read(1)", lambda body: body.read(5) + body.read(1), 1),
    ):
        original = StreamingChecksumBody._validate_checksum
        with mock.patch.object(
            StreamingChecksumBody, "_validate_checksum", autospec=True, side_effect=original
        ) as compare:
            content = read(client.get_object(Bucket="findings", Key="key")["Body"])
        count = compare.call_count
        print(f"{name}: {len(content)} bytes, {count} comparison{'' if count == 1 else 's'}")
        assert content == CONTENT and count == expected, (name, content, count)
finally:
    server.shutdown()
    server.server_close()
PYTHON
