"""Targets of an inspection, as users copy them from elsewhere."""

from __future__ import annotations

import json

import pytest
from google.protobuf.json_format import MessageToJson
from temporalio.api.common.v1 import Payload

from mistral_offload.cleanup.owners import OwnerKind
from mistral_offload.errors import ConfigurationError, ReferenceRefusedError
from mistral_offload.inspection import ExecutionTarget, parse_target
from mistral_offload.inspection.payloads import PayloadContent
from mistral_offload.inspection.targets import KeyTarget
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.envelope import write_envelope
from mistral_offload.payload.field_reference import ContentForm

PAYLOAD = "temporal-payload/a%2Fb/order%201/sha256:" + "0" * 64
FIELD = f"temporal-activity-payload/ns/run-1/sha256:{'1' * 64}/bytes-12/image"
OFFICIAL = "temporal-activity-payload/ns/run-1/063d8de6-d729-4496-a390-85445934bde8/image"


@pytest.mark.parametrize(
    ("text", "prefix"),
    [
        (PAYLOAD, ""),
        (f"  {PAYLOAD}\n", ""),
        (f"data/of/{PAYLOAD}", "data/of/"),
        (json.dumps({"key": PAYLOAD}), ""),
    ],
)
def test_a_payload(text: str, prefix: str) -> None:
    target = parse_target(text)
    assert isinstance(target, KeyTarget)
    assert (target.key.text, target.prefix, target.key.is_field) == (PAYLOAD, prefix, False)
    assert (target.key.owner.namespace, target.key.owner.id) == ("a/b", "order 1")
    assert (target.key.digest, target.key.field) == ("0" * 64, None)


@pytest.mark.parametrize("text", [FIELD, json.dumps({"value": None, "blob_ref": FIELD})])
def test_a_field(text: str) -> None:
    target = parse_target(text)
    assert isinstance(target, KeyTarget)
    assert (target.key.owner.kind, target.key.owner.id) == (OwnerKind.RUN, "run-1")
    assert (target.key.field, target.key.form, target.key.size) == ("image", ContentForm.BYTES, 12)


def test_a_field_of_the_official_sdk() -> None:
    target = parse_target(OFFICIAL)
    assert isinstance(target, KeyTarget)
    assert (target.key.field, target.key.digest, target.key.size) == ("image", None, None)


def test_an_envelope_of_an_api_response() -> None:
    payload = EncodedPayload(b"{}", (EncodingOption.COMPRESSED, EncodingOption.OFFLOADED))
    assert parse_target(write_envelope(payload).decode()) == PayloadContent(payload)


def test_a_payload_of_a_history() -> None:
    payload = Payload(
        metadata={
            "encoding": b"json/wf_v1",
            "execution_id": b"e",
            "encoding_options": b"offloaded",
            "offloaded_size": b"77",
        },
        data=b"{}",
    )
    encoded = EncodedPayload(b"{}", (EncodingOption.OFFLOADED,))
    assert parse_target(MessageToJson(payload)) == PayloadContent(encoded, recorded_size=77)


@pytest.mark.parametrize("text", ["order-1", "temporal", "sha256:" + "0" * 64, "a/b"])
def test_an_execution(text: str) -> None:
    assert parse_target(text) == ExecutionTarget(text)


@pytest.mark.parametrize(
    "text", ["", " ", "{}", '{"key": 1}', "{", '{"a": {"key": "x"}}', "{" * 9000]
)
def test_a_text_of_no_known_form(text: str) -> None:
    with pytest.raises(ConfigurationError, match=r"pass the JSON of a reference.*an execution id"):
        parse_target(text)


@pytest.mark.parametrize(
    "text",
    [
        "temporal-payload/ns/e/sha256:123",
        '{"key": "notes.txt"}',
        "temporal-payload/ns/../sha256:" + "0" * 64 + "/x",
        '{"value": null, "blob_ref": "temporal-activity-payload/x"}',
    ],
)
def test_foreign_keys(text: str) -> None:
    with pytest.raises(ReferenceRefusedError, match="refused to read key"):
        parse_target(text)
