# Generated from tests/_async/test_request_vectors.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 68af15e1b50f3cc2

"""HTTP requests of every operation, against the official client."""

from __future__ import annotations

import copy
import re
import uuid
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx
import pytest

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import PayloadEncryptionError
from mistral_offload.payload.compression import decompress
from mistral_offload.payload.jsontext import load_json
from mistral_offload.payload.reference import Reference
from mistral_offload.storage import open_store
from tests._sync.calls import call, response_to
from tests._sync.recorder import Recording, make_client
from tests.vectors import (
    Case,
    Differences,
    b64,
    compression_of,
    encryption_of,
    load,
    parameters,
    use_nonces,
)

DIFFERENCES = Differences(
    {
        "path_param/*": "reserved characters of a path parameter are escaped",
        "*/signal_execution_id_chars/[123]": "ids reach blob keys escaped once, not twice",
        "input_shapes/signal/[12]": "an input that looks like an envelope is not dropped",
        "input_shapes/*/1": "an input is sent as it was given, whatever it looks like",
        "encoded/pre_encoded_signal_input": "an input that looks like an envelope is not dropped",
        "encoded/*/none": "without offloading the plain input is sent, not an envelope",
        "deployments/create_backend_spec_*": "what does not match is sent, not silently left out",
    }
)

PARENTS = {
    "workflows.get_workflow": "/v1/workflows",
    "workflows.executions.get_workflow_execution": "/v1/workflows/executions",
    "workflows.schedules.unschedule_workflow": "/v1/workflows/schedules",
}


def cases() -> list[Case]:
    return load("rest_requests")


@pytest.mark.parametrize("case", parameters(cases()))
def test_request(case: Case, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recording = Recording([response_to(case["operation"])])
    settings: dict[str, Any] = dict(case.get("client", {}))
    storage = BlobStorageConfig(storage_provider="local", path=tmp_path)
    if offloading := (case.get("encoding") or {}).get("offloading"):
        settings["namespace"] = case["namespace"]
        settings["workflow_payload_offloading"] = PayloadOffloadingConfig(
            storage_config=storage, **offloading
        )
    settings["workflow_payload_encryption"] = encryption_of(case.get("encoding") or {})
    settings["workflow_payload_compression"] = compression_of(case.get("encoding") or {})
    remaining_nonces = use_nonces(case, monkeypatch)
    if case["name"] == "encoded/pre_encoded_signal_input":
        remaining_nonces.append(bytes(12))
    if "uuid4s" in case:
        remaining = [uuid.UUID(text) for text in case["uuid4s"]]
        monkeypatch.setattr(uuid, "uuid4", lambda: remaining.pop(0))

    client = make_client(recording, **settings)
    if "error" in case["expected"]:
        with pytest.raises(PayloadEncryptionError):
            call(client, case["operation"], case["kwargs"])
        assert not recording.requests
        return
    call(client, case["operation"], case["kwargs"])

    (request,) = recording.requests
    expected = case["expected"]
    name = case["name"]
    assert request.method == expected["method"]
    assert f"{request.url.scheme}://{request.url.host}" == expected["origin"]
    assert [list(pair) for pair in request.url.params.multi_items()] == expected["query"]
    path = request.url.raw_path.decode().partition("?")[0]
    if name.startswith("path_param/"):
        text = next(iter(case["kwargs"].values()))
        escaped = {".": "%2E", "..": "%2E%2E"}.get(text) or quote(text, safe=":")
        assert path == f"{PARENTS[case['operation']]}/{escaped}"
    elif "%2F" in (case["kwargs"].get("execution_id") or ""):
        assert path == expected["path"].replace("%2F", "%252F")
    else:
        assert path == expected["path"]
    sent = load_json(request.content) if request.content else None
    check_headers(request, expected["headers"], sent)
    check_body(case, sent)
    store = open_store(storage)
    written = {stat.key: store.get(stat.key) for stat in store.list()}
    assert not remaining_nonces
    if case.get("compare_body") == "encoded-semantic":  # bytes depend on the build of zstd
        assert len(written) == len(case.get("blobs", {}))
        return
    assert list(written.values()) == [b64(text) for text in case.get("blobs", {}).values()]
    if name not in DIFFERENCES:
        assert list(written) == list(case.get("blobs", {}))


def check_headers(request: httpx.Request, expected: dict[str, str], body: Any) -> None:
    for name, value in expected.items():
        if name == "user-agent":
            assert request.headers[name].startswith("mistral-offload/")
        elif value == "$traceparent":
            assert re.fullmatch(r"00-[0-9a-f]{32}-[0-9a-f]{16}-01", request.headers[name])
            assert body["traceparent"] == request.headers[name]
        else:
            assert request.headers[name] == value
    assert ("content-type" in request.headers) == ("content-type" in expected)


def check_body(case: Case, sent: Any) -> None:
    expected = case["expected"]["body"]
    name = case["name"]
    if expected is None:
        assert sent is None
        return
    expected = copy.deepcopy(expected)
    if expected.get("traceparent") == "$traceparent":
        expected["traceparent"] = sent["traceparent"]
    if "execute_workflow" in case["operation"] and not expected.get("execution_id"):
        # Always set here, so that a retry names the same execution.
        assert re.fullmatch("[0-9a-f]{64}", sent["execution_id"])
        expected["execution_id"] = sent["execution_id"]
    if name.startswith("deployments/create_backend_spec"):
        assert sent["spec"] == case["kwargs"]["spec"]
        expected["spec"] = sent["spec"]
    elif name in DIFFERENCES and "schedule" in name:
        assert sent["schedule"] == case["kwargs"]["schedule"]
        expected["schedule"] = sent["schedule"]
    elif name in DIFFERENCES and not name.startswith("path_param/"):
        given = case["kwargs"]["input"]
        if "execution_id_chars" in name:
            reference = Reference.from_json(b64(sent["input"]["b64payload"]))
            assert reference.execution_id == case["kwargs"]["execution_id"]
        elif "pre_encoded" in name:
            assert sent["input"]["encoding_options"] == ["encrypted"]
        else:
            assert sent["input"] == given
        expected.pop("encoded_input", None)
        expected["input"] = sent["input"]
    if case.get("compare_body") == "encoded-semantic":
        holders = [body.get("schedule", body) for body in (sent, expected)]
        member = "encoded_input" if "encoded_input" in holders[1] else "input"
        ours, official = (holder.pop(member) for holder in holders)
        assert ours["encoding_options"] == official["encoding_options"]
        if official["encoding_options"] == ["compressed"]:
            values = [b64(envelope["b64payload"]) for envelope in (ours, official)]
            assert decompress(values[0]) == decompress(values[1])
    assert sent == expected


def test_listed_differences_exist() -> None:
    assert not DIFFERENCES.unused(cases())


def test_cases_were_found() -> None:
    assert len(cases()) == 293
