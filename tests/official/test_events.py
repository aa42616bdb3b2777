"""Events of the official worker by reference, in all modes, read by the official client."""

from __future__ import annotations

import json
import os
import random
import subprocess
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.bounds import CHILD_SECONDS
from tests.servers.process import free_ports
from tests.servers.scripted import ScriptedServer
from tests.servers.seaweed import Seaweed

# The first of these tests may install the official packages.
pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KEY = "8f" * 32
LARGE = random.Random(18).randbytes(3000).hex()
REPEATED = "again " * 1000
SECRET = {"field_type": "__encrypted_str__", "data": "hush"}
# By mode: the options of a large value, of one that compresses well, of a small one, of patches,
# and of patches of which one is marked.
MODES = {
    (None, "off", False): ["offloaded", "", "offloaded", "offloaded"],
    ("full", "off", False): [
        "offloaded encrypted",
        "encrypted",
        "offloaded encrypted",
        "offloaded encrypted",
    ],
    ("full", "on", False): [
        "encrypted offloaded encrypted",
        "encrypted",
        "encrypted offloaded encrypted",
        "encrypted offloaded encrypted",
    ],
    ("partial", "off", False): [
        "encrypted-partial offloaded",
        "encrypted-partial",
        "offloaded",
        "encrypted-partial",
    ],
    (None, "off", True): [
        "compressed offloaded",
        "compressed",
        "",
        "compressed offloaded",
        "compressed offloaded",
    ],
    ("full", "off", True): [
        "compressed offloaded encrypted",
        "compressed encrypted",
        "encrypted",
        "compressed offloaded encrypted",
        "compressed offloaded encrypted",
    ],
    ("full", "on", True): [
        "compressed encrypted offloaded encrypted",
        "compressed encrypted",
        "encrypted",
        "compressed encrypted offloaded encrypted",
        "compressed encrypted offloaded encrypted",
    ],
    ("partial", "off", True): [
        "encrypted-partial compressed offloaded",
        "encrypted-partial compressed",
        "encrypted-partial",
        "compressed offloaded",
        "encrypted-partial",
    ],
}


def run(python: Path, script: str, task: object) -> Any:
    ended = subprocess.run(
        [python, HERE / script, json.dumps(task)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    return json.loads(ended.stdout)


def response(events: object) -> bytes:
    body = json.dumps({"events": events, "next_cursor": None}).encode()
    return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (
        len(body),
        body,
    )


def test_the_official_client_reads_every_mode(
    seaweed: Seaweed, plugin_python: Path, client_python: Path
) -> None:
    storage = {
        "bucket_name": seaweed.make_bucket(),
        "endpoint_url": seaweed.endpoint_url,
        "region_name": seaweed.region_name,
        "aws_access_key_id": seaweed.access_key,
        "aws_secret_access_key": seaweed.secret_key,
    }
    modes: dict[str, Any] = {}
    for mode, blobs, compresses in MODES:
        encoding: dict[str, Any] = {
            "payload_offloading": {"storage_config": storage, "min_size_bytes": 1000}
        }
        if mode is not None:
            encoding["payload_encryption"] = {"mode": mode, "main_key": KEY}
        if compresses:
            encoding["payload_compression"] = {"min_size_bytes": 1000}
        modes[f"{mode} {blobs} {compresses}"] = {
            "encoding": encoding,
            "variables": {"MISTRAL_OFFLOAD_ENCRYPT_BLOBS": blobs},
            "texts": [LARGE, REPEATED, "small"] if compresses else [LARGE, "small"],
        }
    out_of_reach = {**storage, "endpoint_url": f"http://127.0.0.1:{free_ports(1)[0]}"}
    modes["failing"] = {
        "encoding": {
            "payload_offloading": {"storage_config": out_of_reach, "min_size_bytes": 1000},
            "payload_encryption": {"mode": "full", "main_key": KEY},
        },
        "variables": {"MISTRAL_OFFLOAD_RETRY_SECONDS": "0.1"},
        "texts": [LARGE, "small"],
    }
    told = run(plugin_python, "event_poster.py", modes)
    posted = {name: each["posted"] for name, each in told.items()}
    # Whole values, as the official worker posts them.
    assert options_of(posted["failing"]) == ["encrypted"] * 4
    (warning,) = told["failing"]["lines"]
    assert "execution 'e-1' is posted with its values, not with references" in warning
    assert not any(told[name]["lines"] for name in posted if name != "failing")
    options = [options_of(posted[name]) for name in posted if name != "failing"]
    assert options == list(MODES.values())

    with ExitStack() as servers:
        readers: dict[str, Any] = {}
        for name, events in posted.items():
            url = servers.enter_context(ScriptedServer(response(events))).url
            readers[name] = {"url": url, "encoding": modes[name]["encoding"]}
        url = servers.enter_context(ScriptedServer(response(posted["None off False"]))).url
        readers["no store"] = {"url": url, "encoding": {}}
        read = run(client_python, "event_reader.py", readers)
    assert read.pop("no store") == ["WorkflowPayloadOffloadingException"]
    for name, values in read.items():
        assert values == [
            *([{"text": text, "secret": SECRET}] for text in modes[name]["texts"]),
            [{"op": "append", "path": "/text", "value": LARGE}],
            [
                {"op": "add", "path": "/text", "value": LARGE},
                {"op": "replace", "path": "/secret/data", "value": "hush"},
            ],
        ]


def options_of(events: list[Any]) -> list[str]:
    """Return the options of each event's value as one text."""
    attributes = [each["attributes"] for each in events]
    values = [each.get("input") or each["payload"] for each in attributes]
    return [" ".join(value["encoding_options"] or ()) for value in values]
