#!/usr/bin/env bash
# boto3 drops the elements of a bucket's lifecycle that its version does not know.
#
# Versions: boto3 1.44.5, against a server of the standard library that sends one fixed document.
#   Seen with CPython 3.11.
# One would guess: reading a lifecycle configuration and writing it back keeps it as it is.
# What happens: an element that this version of botocore has no model for is missing from the
#   dictionary, without a word. Written back, the rule has lost it. Every feature that Amazon adds
#   later is such an element.
# It matters because a tool that adds one rule to a bucket would damage the rules of others.
# Output seen:
#   element in the document: True
#   rule in boto3: {'Expiration': {'Days': 7}, 'ID': 'theirs', 'Filter': {'Prefix': 'a/'}, 'Status': 'Enabled'}
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check boto3==1.44.5
"$folder/venv/bin/python" - <<'PYTHON'
import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import boto3
from botocore.config import Config

DOCUMENT = b"""<?xml version="1.0" encoding="UTF-8"?>
<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Rule><ID>theirs</ID>
<Filter><Prefix>a/</Prefix></Filter><Status>Enabled</Status><Expiration><Days>7</Days></Expiration>
<ElementOfALaterYear><Days>30</Days></ElementOfALaterYear></Rule></LifecycleConfiguration>"""


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("content-type", "application/xml")
        self.send_header("content-length", str(len(DOCUMENT)))
        self.end_headers()
        self.wfile.write(DOCUMENT)

    def log_message(self, *arguments):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
threading.Thread(target=server.serve_forever, daemon=True).start()
client = boto3.client(
    "s3",
    endpoint_url=f"http://127.0.0.1:{server.server_port}",
    region_name="us-east-1",
    aws_access_key_id="key",
    aws_secret_access_key="not-a-real-secret",
    config=Config(s3={"addressing_style": "path"}),
)
(rule,) = client.get_bucket_lifecycle_configuration(Bucket="findings")["Rules"]
server.shutdown()
print("element in the document:", b"ElementOfALaterYear" in DOCUMENT)
print("rule in boto3:", rule)
expected = {"ID": "theirs", "Filter": {"Prefix": "a/"}, "Status": "Enabled",
            "Expiration": {"Days": 7}}
assert rule == expected, rule
PYTHON
