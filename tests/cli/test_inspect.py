"""``mistral-offload inspect`` on real buckets, and on executions of a real Temporal."""

from __future__ import annotations

import asyncio
import hashlib
import io
import json
import os
import pty
import subprocess
import threading
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.json_format import MessageToJson
from rich.console import Console
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue

from mistral_offload.cli.inspect_output import print_row
from mistral_offload.devserver import LocalPlatform
from mistral_offload.errors import BlobNotFoundError
from mistral_offload.fields.offloader import FieldOffloader
from mistral_offload.inspection.events import EventPayload
from mistral_offload.inspection.executions import PayloadRow
from mistral_offload.inspection.expiry import Expiry
from mistral_offload.inspection.findings import BlobStatus
from mistral_offload.inspection.keys import BlobKey
from mistral_offload.lifecycle.rules import ExpiryRule
from mistral_offload.payload.context import PayloadContext, UnownedContext
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.payload.reference import Reference
from mistral_offload.storage.factory import open_store
from tests.bounds import PATIENCE_SECONDS, child
from tests.inspection.scene import EXECUTION_TOKEN, FULL, KEY, NAMESPACE, OTHER_KEY, Scene
from tests.servers.azurite import Azurite
from tests.servers.process import free_ports
from tests.servers.seaweed import Seaweed
from tests.storage.backends import azure_config
from tests.temporal_bounds import connect
from tests.workflows.worker_runs import running_worker

from . import inspected
from .command import call_command, command_line, run_command

BOOK = {"title": "The Shining", "pages": inspected.PAGES}
TEXT = dump_json(BOOK)


@pytest.fixture
def scene(seaweed: Seaweed, tmp_path: Path) -> Scene:
    folder = tmp_path / "variables"
    folder.mkdir()
    return Scene(seaweed, seaweed.make_bucket(), folder)


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return call_command("inspect", *arguments)


def document(*arguments: str, code: int = 0) -> Any:
    ended = run(*arguments, "--json")
    assert ended.returncode == code, ended.stdout + ended.stderr
    return json.loads(ended.stdout)


# One blob


def test_a_key_of_no_execution(scene: Scene) -> None:
    encoder = scene.settings().payload_encoder()
    asyncio.run(encoder.encode_async(TEXT, UnownedContext(NAMESPACE)))
    (key,) = scene.stored_keys()
    found = document(key, "--config", scene.config(), "--full")
    assert (found["kind"], found["namespace"], found["execution"]) == ("payload", NAMESPACE, None)
    assert (found["key"], found["verified"], found["value"]) == (key, True, BOOK)
    assert (
        "payload of no execution, namespace default" in run(key, "--config", scene.config()).stdout
    )


def test_a_key(scene: Scene) -> None:
    scene.payload(BOOK, "order 1")
    (key,) = scene.stored_keys()
    found = document(key, "--config", scene.config(), "--full")
    assert (found["kind"], found["namespace"], found["execution"]) == (
        "payload",
        NAMESPACE,
        "order 1",
    )
    assert (found["key"], found["stored_key"], found["container"]) == (key, key, scene.bucket)
    assert found["size"] == found["stored_size"] == found["decoded_size"] == len(TEXT)
    assert (found["found"], found["verified"], found["errors"]) == (True, True, [])
    assert [each["name"] for each in found["transforms"]] == ["offloaded"]
    assert (found["form"], found["cut"], found["value"]) == ("json", False, BOOK)
    assert 0 <= found["age_days"] < 1
    assert found["expiry"] == {"days": None, "days_left": None, "rule": None, "note": None}

    ended = run(key, "--config", scene.config())
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "payload of execution order 1, namespace default" in ended.stdout
    assert "digest     verified" in ended.stdout
    assert "expires    no rule removes it" in ended.stdout
    assert '{\n  "title": "The Shining",\n' in ended.stdout
    assert "--full shows the whole value" in ended.stdout
    assert 8_000 < len(ended.stdout) < 9_000
    assert len(run(key, "--config", scene.config(), "--limit", "100").stdout) < 1_100


def test_every_transform(scene: Scene) -> None:
    """Holds for a key, whose transforms are detected, and for the payload of a history."""
    scene.prefix, scene.is_compressed = "data", True
    scene.encryption = {**FULL, "SECONDARY_KEY": OTHER_KEY}
    payload = scene.payload(BOOK)
    (stored_key,) = scene.stored_keys()
    key = stored_key.removeprefix("data/")
    newer = {**FULL, "MAIN_KEY": OTHER_KEY, "SECONDARY_KEY": KEY}
    config = scene.config(encryption=newer)
    expected = [
        ("compressed", "zstd level 3"),
        ("encrypted", "decrypted with secondary_key"),
        ("offloaded", None),
    ]
    for target in (key, stored_key, json.dumps({"key": key})):
        found = document(target, "--config", config, "--full")
        assert [(each["name"], each["detail"]) for each in found["transforms"]] == expected
        assert (found["value"], found["verified"], found["stored_key"]) == (BOOK, True, stored_key)
    compressed, encrypted, _ = found["transforms"]
    assert encrypted["size"] == compressed["size"] + 28 == found["size"]

    in_history = MessageToJson(payload)
    found = document(in_history, "--config", config)
    assert [each["name"] for each in found["transforms"]] == [
        *(name for name, _ in expected),
        "encrypted",
    ]
    assert EXECUTION_TOKEN not in json.dumps(found)
    ended = run(in_history, "--config", config)
    assert "compressed (zstd level 3" in ended.stdout
    assert not any(secret in ended.stdout for secret in (KEY, OTHER_KEY, EXECUTION_TOKEN))


def test_a_reference_from_stdin(scene: Scene) -> None:
    payload = scene.payload(BOOK)
    command = command_line("inspect", "-", "--config", scene.config(), "--json")
    ended = subprocess.run(
        command, input=MessageToJson(payload), capture_output=True, text=True, timeout=30
    )
    assert json.loads(ended.stdout)["verified"] is True


def test_days_left(scene: Scene) -> None:
    scene.payload(BOOK)
    (key,) = scene.stored_keys()
    scene.expire(7)
    found = document(key, "--config", scene.config())
    assert (found["expiry"]["days"], found["expiry"]["rule"]) == (7, "tidy-up")
    assert 6.9 < found["expiry"]["days_left"] <= 7
    ended = run(key, "--config", scene.config())
    assert "7.0 days left (rule 'tidy-up' of the whole bucket: after 7 days)" in ended.stdout


def test_a_store_that_does_not_tell_its_rules(azurite: Azurite, tmp_path: Path) -> None:
    """Unreadable rules are noted, not an error: the value itself is intact."""
    config = azure_config(azurite, azurite.make_container())
    key = Reference.of(TEXT, namespace=NAMESPACE, execution_id="e").key
    open_store(config).put(key, TEXT)
    start = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__"
    (tmp_path / "azure.env").write_text(
        f"{start}STORAGE_PROVIDER=azure\n{start}CONTAINER_NAME={config.container}\n"
        f"{start}AZURE_CONNECTION_STRING={azurite.connection_string()}\n"
    )
    variables = str(tmp_path / "azure.env")
    found = document(key, "--config", variables)
    assert (found["verified"], found["expiry"]["days"]) == (True, None)
    assert "az storage account management-policy show" in found["expiry"]["note"]
    assert "expiry unknown: " in run(key, "--config", variables).stdout


def test_in_a_bucket_of_read_also(scene: Scene) -> None:
    old = Scene(scene.seaweed, scene.seaweed.make_bucket(), scene.folder, prefix="old")
    old.payload(BOOK)
    (stored_key,) = old.stored_keys()
    key = stored_key.removeprefix("old/")
    also = [
        {
            "bucket_name": old.bucket,
            "prefix": "old",
            "endpoint_url": scene.seaweed.endpoint_url,
            "region_name": scene.seaweed.region_name,
            "aws_access_key_id": scene.seaweed.access_key,
            "aws_secret_access_key": scene.seaweed.secret_key,
        }
    ]
    config = scene.config(read_also=json.dumps(also))
    for target in (key, stored_key):
        found = document(target, "--config", config)
        assert (found["container"], found["stored_key"]) == (old.bucket, stored_key)
    ended = run(f"other/{key}", "--config", config)
    assert ended.returncode == 2
    assert "STORAGE_CONFIG__PREFIX" in ended.stderr
    old.delete(stored_key)
    missing = document(key, "--config", config, code=1)
    assert old.bucket in missing["error"]["message"]
    assert scene.bucket in missing["error"]["message"]


# Writing and showing a value


def test_out_writes_the_very_bytes(scene: Scene, tmp_path: Path) -> None:
    scene.encryption = FULL
    scene.payload(BOOK)
    (key,) = scene.stored_keys()
    config, file = scene.config(), tmp_path / "value.json"
    ended = run(key, "--config", config, "--out", str(file))
    assert ended.returncode == 0
    assert f"{len(TEXT):,} bytes were written to {file}" in ended.stdout
    assert file.read_bytes() == TEXT
    assert file.stat().st_mode & 0o777 == 0o600

    file.write_text("mine")
    for arguments in ((), ("--raw",)):
        refused = run(key, "--config", config, "--out", str(file), *arguments)
        assert refused.returncode == 2
        assert "--overwrite" in refused.stderr
        assert file.read_text() == "mine"
    found = document(key, "--config", config, "--out", str(file), "--overwrite", "--raw")
    assert str(file) in found["out"]
    assert file.read_bytes() == scene.get(key)

    piped = subprocess.run(
        command_line("inspect", key, "--config", config, "--out", "-"),
        capture_output=True,
        timeout=30,
    )
    assert (piped.returncode, piped.stdout, piped.stderr) == (0, TEXT, b"")
    nowhere = run(key, "--config", config, "--out", str(tmp_path / "no" / "file"))
    assert nowhere.returncode == 2
    assert "no such directory" in nowhere.stderr
    both = run(key, "--config", config, "--out", "-", "--json")
    assert both.returncode == 2
    assert json.loads(both.stdout)["error"]["type"] == "ConfigurationError"


def test_nothing_steers_a_terminal(scene: Scene) -> None:
    scene.payload("\x1b]0;title\x07 \u009b31m \u202e " * 500)
    (key,) = scene.stored_keys()
    config = scene.config()
    for arguments in ((), ("--raw",), ("--json",), ("--full", "--json", "--raw")):
        shown = run(key, "--config", config, *arguments).stdout
        assert not any(character in shown for character in "\x1b\x07\u009b\u202e")
        assert "\\u009b" in shown
    scene.put(key, b"\x1b\x07\x9b" * 100 + b"\xff")
    shown = run(key, "--config", config, "--raw").stdout
    assert not any(character in shown for character in "\x1b\x07\u009b")
    assert "00000000  1b 07 9b" in shown
    refused = on_a_terminal("inspect", key, "--config", config, "--out", "-")
    assert b"stdout is a terminal" in refused
    assert b"\x9b" not in refused


def on_a_terminal(*arguments: str) -> bytes:
    """Return the output of a command on a dumb terminal, which gets no colours."""
    ours, theirs = pty.openpty()
    environment = {**os.environ, "TERM": "dumb", "NO_COLOR": "1"}
    with child(
        command_line(*arguments), stdin=theirs, stdout=theirs, stderr=theirs, env=environment
    ) as process:
        timer = threading.Timer(PATIENCE_SECONDS, process.kill)  # ends the reads below
        timer.start()
        os.close(theirs)
        shown = bytearray()
        while True:
            try:
                piece = os.read(ours, 65_536)
            except OSError:
                break
            if not piece:
                break
            shown += piece
        process.wait(PATIENCE_SECONDS)
        timer.cancel()
    os.close(ours)
    return bytes(shown)


# Problems


def test_a_blob_that_has_expired(scene: Scene, tmp_path: Path) -> None:
    payload = scene.payload(BOOK)
    (key,) = scene.stored_keys()
    scene.expire(1)
    scene.delete(key)
    for target in (key, MessageToJson(payload)):
        found = document(target, "--config", scene.config(), code=1)
        assert (found["found"], found["execution"], found["stored_size"]) == (False, "e", None)
        assert found["errors"][0]["type"] == "BlobNotFoundError"
        assert scene.bucket in found["errors"][0]["message"]
        assert (found["expiry"]["days"], found["expiry"]["days_left"]) == (1, None)
    file = tmp_path / "value"
    ended = run(key, "--config", scene.config(), "--out", str(file))
    assert ended.returncode == 1
    assert "rule 'tidy-up' of the whole bucket removes such blobs after 1 day" in ended.stdout
    assert "nothing was written" in ended.stdout
    assert not file.exists()
    piped = run(key, "--config", scene.config(), "--out", "-")
    assert (piped.returncode, piped.stdout) == (1, "")
    assert "nothing is stored under this key" in piped.stderr


def test_a_deleted_blob_is_restored_in_a_bucket_with_versions(scene: Scene) -> None:
    """The steps are those of docs/operating.md."""
    client = scene.seaweed.client()
    client.put_bucket_versioning(Bucket=scene.bucket, VersioningConfiguration={"Status": "Enabled"})
    scene.payload(BOOK)
    (key,) = scene.stored_keys()
    scene.delete(key)
    assert run(key, "--config", scene.config()).returncode == 1
    versions = client.list_object_versions(Bucket=scene.bucket, Prefix=key)
    (marker,) = versions["DeleteMarkers"]
    client.delete_object(Bucket=scene.bucket, Key=key, VersionId=marker["VersionId"])
    client.close()
    assert document(key, "--config", scene.config())["verified"] is True


def test_a_blob_that_was_changed(scene: Scene, tmp_path: Path) -> None:
    scene.payload(BOOK)
    (key,) = scene.stored_keys()
    other = dump_json({**BOOK, "title": "The Shinning"})
    scene.put(key, other)
    config, file = scene.config(), tmp_path / "value"
    found = document(key, "--config", config, "--full", code=1)
    assert (found["verified"], found["value"]["title"]) == (False, "The Shinning")
    (error,) = found["errors"]
    assert error["type"] == "BlobCorruptedError"
    assert hashlib.sha256(other).hexdigest() in error["message"]
    ended = run(key, "--config", config, "--out", str(file))
    assert ended.returncode == 1
    assert "digest     WRONG" in ended.stdout
    assert not file.exists()
    assert run(key, "--config", config, "--out", str(file), "--raw").returncode == 1
    assert file.read_bytes() == other
    unchecked = document(key, "--config", config, "--no-verify")
    assert unchecked["verified"] is None


def test_another_key(scene: Scene) -> None:
    scene.encryption = FULL
    payload = scene.payload(BOOK)
    (key,) = scene.stored_keys()
    config = scene.config(encryption={"MODE": "full", "MAIN_KEY": OTHER_KEY})
    for target in (key, MessageToJson(payload)):
        found = document(target, "--config", config, code=1)
        assert found["errors"][0]["type"] == "PayloadDecryptionError"
        assert "(main_key)" in found["errors"][0]["message"]
        assert found["transforms"][0]["name"] == "encrypted"
        assert (found["decoded_size"], "value" in found, "text" in found) == (None, False, False)
    keyless = document(key, "--config", scene.config(encryption={}), code=1)
    assert keyless["errors"][0]["type"] == "EncryptionNotConfiguredError"
    assert keyless["verified"] is True
    ended = run(key, "--config", config, "--raw")
    assert ended.returncode == 1
    assert "00000000  " in ended.stdout
    assert not any(secret in ended.stdout for secret in (KEY, OTHER_KEY))


def test_too_large_to_read(scene: Scene) -> None:
    scene.is_compressed = True
    scene.payload(os.urandom(700_000).hex())
    (key,) = scene.stored_keys()
    found = document(key, "--config", scene.config(), "--largest-mb", "1", code=1)
    assert found["errors"][0]["type"] == "PayloadDecompressionError"
    scene.put(key, b"x" * 1_000_001)
    found = document(key, "--config", scene.config(), "--largest-mb", "1", code=1)
    assert found["errors"][0]["type"] == "PayloadTooLargeError"
    assert "--largest-mb" in found["errors"][0]["message"]


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"bucket_name": "no-such-bucket"}, "ContainerNotFoundError"),
        ({"aws_access_key_id": "AKIASEAWEEDTESTS0002"}, "StorageAccessDeniedError"),
        ({"aws_secret_access_key": "wrong"}, "StorageAccessDeniedError"),
    ],
)
def test_a_store_that_cannot_be_read(scene: Scene, changes: dict[str, str], kind: str) -> None:
    scene.payload(BOOK)
    (key,) = scene.stored_keys()
    found = document(key, "--config", scene.config(**changes), code=1)
    assert found["error"]["type"] == kind
    assert scene.seaweed.secret_key not in json.dumps(found)


def test_no_store_is_configured(tmp_path: Path) -> None:
    (tmp_path / "empty.env").write_text("")
    for key, group in {
        f"temporal-payload/n/e/sha256:{'0' * 64}": "TEMPORAL_PAYLOAD_OFFLOADING",
        f"temporal-activity-payload/n/r/sha256:{'0' * 64}/x": "ACTIVITY_ATTRIBUTES_OFFLOADING",
    }.items():
        ended = run(key, "--config", str(tmp_path / "empty.env"))
        assert ended.returncode == 2
        assert f"{group}__STORAGE_CONFIG__" in ended.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ("{}",),
        ("e", "--raw"),
        ("e", "--out", "/tmp/never"),
        ("e", "--payload", "1"),
        (f"temporal-payload/n/e/sha256:{'0' * 64}", "--event", "1"),
        (f"temporal-payload/n/e/sha256:{'0' * 64}", "--run-id", "x"),
        ("e", "--event", "0"),
    ],
)
def test_options_that_do_not_fit_the_target(scene: Scene, arguments: tuple[str, ...]) -> None:
    ended = run(*arguments, "--config", scene.config())
    assert (ended.returncode, ended.stdout) == (2, "")


def test_without_temporalio() -> None:
    ended = run_command("inspect", "e", without="temporalio")
    assert ended.returncode == 2
    assert 'pip install "mistral-offload[worker]"' in ended.stderr


# Executions


@dataclass
class Executed:
    """Two executions of the same workflow, with the blobs of the second deleted."""

    scene: Scene
    intact: str
    broken: str
    run_id: str


@pytest.fixture(scope="module")
def executed(
    seaweed: Seaweed, local_platform: LocalPlatform, tmp_path_factory: pytest.TempPathFactory
) -> Executed:
    folder = tmp_path_factory.mktemp("variables")
    scene = Scene(seaweed, seaweed.make_bucket(), folder, prefix="data", encryption=FULL)
    scene.temporal = local_platform.temporal_address
    scene.expire(30, "data/temporal-payload/")
    return asyncio.run(execute(scene))


async def execute(scene: Scene) -> Executed:
    settings = scene.settings()
    encoder = settings.payload_encoder()
    ids = [f"{name}-{uuid4().hex[:8]}" for name in ("intact", "broken")]
    async with running_worker(
        scene.temporal,
        [inspected.Inspected],
        activities=[inspected.scan, inspected.count],
        encoder=encoder,
        fields=FieldOffloader(settings.field_offloading, blob_codec=encoder),
    ) as rig:
        for id in ids:
            context = PayloadContext(NAMESPACE, id, execution_token=EXECUTION_TOKEN)
            handle = await rig.start("inspected", BOOK, context=context)
            await rig.result(handle)
    described = await handle.describe()
    for key in scene.stored_keys():
        if f"/{ids[1]}/" in key or f"/{described.run_id}/" in key:
            scene.delete(key)
    return Executed(scene, *ids, run_id=described.run_id)


def test_an_execution(executed: Executed) -> None:
    config = executed.scene.config()
    report = document(executed.intact, "--config", config)
    assert (report["execution"], report["workflow"], report["status"]) == (
        executed.intact,
        "inspected",
        "COMPLETED",
    )
    assert report["errors"] == []
    rows = {(row["event_type"], row["name"], row["part"]): row for row in report["payloads"]}
    sent = rows["WorkflowExecutionStarted", "inspected", "input"]
    # Clients do not record the size of a value; workers do.
    assert (sent["event"], sent["inline"], sent["decoded_size"]) == (1, False, None)
    assert rows["ActivityTaskScheduled", "scan", "input"]["decoded_size"] == len(TEXT)
    assert sent["transforms"] == ["encrypted", "offloaded", "encrypted"]
    (blob,) = sent["blobs"]
    assert (blob["kind"], blob["execution"], blob["found"]) == ("payload", executed.intact, True)
    assert 29.9 < blob["expiry"]["days_left"] <= 30
    assert blob["size"] == len(TEXT) + 28
    scanned = rows["ActivityTaskCompleted", "scan", "result"]
    assert (scanned["inline"], scanned["transforms"]) == (True, ["encrypted"])
    (field,) = scanned["blobs"]
    assert (field["kind"], field["field"], field["run"]) == ("field", "image", report["run"])
    assert field["expiry"]["days"] is None
    counted = rows["ActivityTaskCompleted", "count", "result"]
    assert (counted["decoded_size"], counted["blobs"]) == (len('{"result":20000}'), []) or (
        counted["decoded_size"] < 30
    )
    assert rows["WorkflowExecutionCompleted", "", "result"]["blobs"][0]["found"]
    assert report["blobs"] == report["found"] == 3

    ended = run(executed.intact, "--config", config, "--run-id", report["run"])
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "    1  WorkflowExecutionStarted of inspected: input" in ended.stdout
    assert "3 blobs: 3 found" in ended.stdout
    assert not any(secret in ended.stdout for secret in (KEY, EXECUTION_TOKEN))


def test_an_event(executed: Executed, tmp_path: Path) -> None:
    config = executed.scene.config()
    shown = document(executed.intact, "--event", "1", "--full", "--config", config)
    (sent,) = shown["payloads"]
    assert (sent["part"], sent["value"], sent["verified"]) == ("input", BOOK, True)
    report = document(executed.intact, "--config", config)
    (scanned,) = [
        row for row in report["payloads"] if row["blobs"] and row["blobs"][0]["kind"] == "field"
    ][:1]
    event = str(scanned["event"])
    shown = document(executed.intact, "--event", event, "--payload", "1", "--config", config)
    (result,) = shown["payloads"]
    assert (result["inline"], result["value"]["title"]) == (True, "The Shining")
    key = result["fields"][0]["key"]
    assert result["value"]["image"]["blob_ref"] == key

    image = tmp_path / "image.png"
    found = document(key, "--config", config, "--out", str(image))
    assert image.read_bytes() == b"\x89PNG" * 5_000
    assert (found["kind"], found["form"], found["verified"]) == ("field", "bytes", True)
    assert [each["name"] for each in found["transforms"]] == ["encrypted", "offloaded"]
    assert run(executed.intact, "--event", "1", "--config", config).returncode == 0
    file = tmp_path / "input.json"
    ended = run(executed.intact, "--event", "1", "--config", config, "--out", str(file))
    assert ended.returncode == 0
    assert file.read_bytes() == TEXT


def test_events_without_payloads(executed: Executed) -> None:
    config = executed.scene.config()
    for arguments, text in {
        ("--event", "2"): "no payload in event 2. Events with payloads: 1, ",
        ("--event", "999"): "no event 999; its last is",
        ("--event", "1", "--payload", "3"): "event 1 has 1 payloads",
    }.items():
        ended = run(executed.intact, *arguments, "--config", config)
        assert ended.returncode == 2
        assert text in ended.stderr


def test_an_event_with_several_payloads(executed: Executed, tmp_path: Path) -> None:
    """Plain Temporal clients send several arguments, and encode none."""
    config, file = executed.scene.config(), tmp_path / "value"
    id = f"plain-{uuid4().hex[:8]}"
    asyncio.run(start_with(executed.scene, id, {"a": 1}, b"\xff\0"))
    report = document(id, "--config", config)
    assert [row["part"] for row in report["payloads"]] == ["input[0]", "input[1]"]
    refused = run(id, "--event", "1", "--config", config, "--out", str(file))
    assert refused.returncode == 2
    assert "--payload 1 … 2" in refused.stderr
    for number, value in ("1", b'{"a":1}'), ("2", b"\xff\0"):
        arguments = ("--event", "1", "--payload", number, "--config", config, "--overwrite")
        assert run(id, *arguments, "--out", str(file)).returncode == 0
        assert file.read_bytes() == value


def test_an_execution_whose_blobs_are_gone(executed: Executed) -> None:
    config = executed.scene.config()
    report = document(executed.broken, "--config", config, code=1)
    assert (report["blobs"], report["found"], report["run"]) == (3, 0, executed.run_id)
    assert [error["type"] for error in report["errors"]] == ["BlobNotFoundError"] * 3
    ended = run(executed.broken, "--config", config)
    assert ended.returncode == 1
    assert "GONE" in ended.stdout
    assert "3 blobs: 0 found, 0 bytes; 3 missing" in ended.stdout
    assert "rule 'tidy-up' of 'data/temporal-payload/' removes such blobs" in ended.stdout
    assert "it was removed by other means" in ended.stdout
    assert "no rule of the bucket removes such blobs" in ended.stdout
    assert ended.stdout.count("nothing is stored under this key") == 1
    assert "BlobNotFoundError, 3 times; the first: " in ended.stdout
    shown = document(executed.broken, "--event", "1", "--config", config, code=1)
    assert shown["payloads"][0]["errors"][0]["type"] == "BlobNotFoundError"


@pytest.mark.parametrize(("age", "verdict"), [(31, "has expired"), (29, "by other means")])
def test_explanation_of_a_missing_blob(age: int, verdict: str) -> None:
    """Uses made-up findings, since a real rule takes days to remove a blob."""
    now = datetime.now(timezone.utc)
    at = now - timedelta(days=age)
    source = EventPayload(1, "WorkflowExecutionStarted", at, "w", "input", Payload())
    key = BlobKey.of(Reference.of(TEXT, namespace=NAMESPACE, execution_id="e").key)
    gone = BlobNotFoundError("gone", provider="s3", container="b", key=key.text)
    status = BlobStatus(key, None, Expiry(ExpiryRule("", 30, "tidy-up")), gone)
    row = PayloadRow(source, 100, ("offloaded",), keys=(key,), blobs=(status,))
    printed = io.StringIO()
    print_row(Console(file=printed, soft_wrap=True), row, now)
    assert f"after 30 days, and the event is {age}.0 d old: " in printed.getvalue()
    assert verdict in printed.getvalue()


def test_an_execution_that_other_keys_encrypted(executed: Executed) -> None:
    config = executed.scene.config(encryption={"MODE": "full", "MAIN_KEY": OTHER_KEY})
    report = document(executed.intact, "--config", config, code=1)
    assert {error["type"] for error in report["errors"]} == {"PayloadDecryptionError"}
    shown = run(executed.intact, "--event", "1", "--config", config)
    assert shown.returncode == 1
    assert "SECONDARY_KEY" in shown.stdout


def test_an_execution_in_a_bucket_that_is_gone(executed: Executed) -> None:
    config = executed.scene.config(bucket_name="no-such-bucket")
    report = document(executed.intact, "--config", config, code=1)
    assert {error["type"] for error in report["errors"]} == {"ContainerNotFoundError"}


def test_an_unknown_execution(executed: Executed) -> None:
    config = executed.scene.config()
    for arguments in (
        ("nobody",),
        (executed.intact, "--run-id", str(uuid4())),
        ("x", "--run-id", "y"),
    ):
        failed = document(*arguments, "--config", config, code=1)
        assert failed["error"]["type"] == "ExecutionNotFoundError"
        assert "TEMPORAL_NAMESPACE" in failed["error"]["message"]
        assert f"blobs ls --execution {arguments[0]}" in failed["error"]["message"]


def test_temporal_does_not_answer(scene: Scene) -> None:
    (port,) = free_ports(1)
    scene.temporal = f"127.0.0.1:{port}"
    failed = document("e", "--config", scene.config(), code=1)
    assert failed["error"]["type"] == "APIConnectionError"


def test_a_payload_of_another_namespace(executed: Executed) -> None:
    """The payload is shown, with the error that workers refuse it."""
    scene = executed.scene
    foreign = Reference.of(TEXT, namespace="other", execution_id="x")
    scene.put(f"data/{foreign.key}", TEXT)
    id = f"foreign-{uuid4().hex[:8]}"
    metadata = {
        "encoding": b"json/wf_v1",
        "namespace": NAMESPACE.encode(),
        "execution_id": id.encode(),
        "encoding_options": b"offloaded",
    }
    value = RawValue(Payload(metadata=metadata, data=foreign.to_json()))
    asyncio.run(start_with(scene, id, value))
    report = document(id, "--config", scene.config(), code=1)
    (error,) = report["errors"]
    assert error["type"] == "ReferenceRefusedError"
    assert "ALLOW_OTHER_NAMESPACES" in error["message"]
    assert report["payloads"][0]["blobs"][0]["found"]
    shown = document(id, "--event", "1", "--full", "--config", scene.config(), code=1)
    assert shown["payloads"][0]["value"] == BOOK


async def start_with(scene: Scene, id: str, *values: Any) -> None:
    """Start an execution that no worker picks up, with any input."""
    client = await connect(scene.temporal, namespace=NAMESPACE)
    handle = await client.start_workflow("idle", args=values, id=id, task_queue="nobody")
    await handle.terminate()
