"""The encoder against recorded cases of the official client: offloading and plain."""

from __future__ import annotations

import base64
import binascii
from typing import Any

import pytest

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    ConfigurationError,
    MistralOffloadError,
    OffloadingNotConfiguredError,
    PayloadDecodeError,
    ReferenceRefusedError,
)
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded import EncodedPayload, parse_options
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.envelope import read_envelope, write_envelope
from mistral_offload.payload.jsontext import dump_json, load_json
from mistral_offload.storage import MemoryStore
from tests.vectors import Case, Differences, b64, load, parameters, uses_only_offloading

ENCODE_DIFFERENCES = Differences(
    {
        "default_threshold/offload/+0": "our default floor is the platform's 2 MiB, not 1 MiB",
    }
)
DECODE_DIFFERENCES = Differences(
    {
        "reference/arbitrary_key": "a reference may only name an offloaded payload (law 8)",
        "reference/hash_not_verified": "what is read must hash to what its key says (law 8)",
        "event/offloaded_with_config": "a reference may only name an offloaded payload (law 8)",
    }
)
ERRORS = {
    "WorkflowPayloadOffloadingException": OffloadingNotConfiguredError,
    "BlobNotFoundError": BlobNotFoundError,
    "Error": PayloadDecodeError,  # binascii.Error
    "JSONDecodeError": PayloadDecodeError,
    "ValidationError": PayloadDecodeError,
    "KeyError": PayloadDecodeError,
    "TypeError": PayloadDecodeError,
}


def encode_cases() -> list[Case]:
    return [c for c in load("payload_encode") if uses_only_offloading(c["config"])]


def decode_cases() -> list[Case]:
    chosen = []
    for case in load("payload_decode"):
        given: Any = case["input"]
        options = given.get("encoding_options") if isinstance(given, dict) else None
        # Cases whose data went through another step belong to the modules of that step.
        if uses_only_offloading(case["config"]) and set(options or []) <= {"offloaded"}:
            chosen.append(case)
    return chosen


def make_encoder(case: Case, store: MemoryStore) -> PayloadEncoder:
    recorded = case["config"].get("offloading")
    if recorded is None:
        return PayloadEncoder()
    bucket = None if recorded.get("storage", ...) is None else BlobStorageConfig(bucket_name="b")
    values = {"storage_config": bucket} if bucket else {}
    if "min_size_bytes" in recorded:
        values["min_size_bytes"] = recorded["min_size_bytes"]
    return PayloadEncoder(PayloadOffloadingConfig(**values), store=store)


def filled_store(blobs: dict[str, str]) -> MemoryStore:
    store = MemoryStore()
    for key, text in blobs.items():
        store.put(key, b64(text))
    return store


def input_value(case: Case) -> Any:
    if "input_spec" not in case:
        return case["input"]
    spec = case["input_spec"]
    fill = spec["fill"]
    room = spec["json_size"] - len(dump_json({spec["key"]: ""}))
    return {spec["key"]: fill * (room // len(fill.encode()))}


@pytest.mark.parametrize("case", parameters(encode_cases()))
def test_encode(case: Case) -> None:
    store = filled_store(case.get("existing_blobs", {}))
    expected = case["expected"]
    if "error" in expected:
        # Official: when the encoder is built. Ours: already when the configuration is.
        with pytest.raises(ConfigurationError, match="storage_config"):
            make_encoder(case, store)
        return
    encoder = make_encoder(case, store)
    context = PayloadContext(**case["context"]) if case.get("context") else None
    if case["op"] == "encode_network_input":
        payload = encoder.encode_value(input_value(case), context)
        envelope = load_json(write_envelope(payload))
        if case["name"] in ENCODE_DIFFERENCES:
            assert payload.options == ()
            return
        if case.get("digest"):
            assert len(payload.data) == expected["payload_size"]
            assert envelope["encoding_options"] == expected["encoding_options"]
            return
        assert envelope == expected
    elif case["op"] == "encode_payload_content":
        payload = encoder.encode(b64(case["data_b64"]), context, offload=offload_flag(case))
        assert payload.data == b64(expected["data_b64"])
        assert [option.value for option in payload.options] == expected["encoding_options"]
    else:  # events are never offloaded
        assert case["op"] == "encode_event_payload_content"
        payload = encoder.encode(b64(case["data_b64"]), None)
        assert payload == EncodedPayload(b64(expected["data_b64"]))
    blobs = {stat.key: store.get(stat.key) for stat in store.list()}
    assert blobs == {key: b64(text) for key, text in case["blobs"].items()}


def offload_flag(case: Case) -> bool | None:
    options = case.get("options") or {}
    if options.get("allow_offloading") is False:
        return False
    return options.get("force_offload") or None


@pytest.mark.parametrize("case", parameters(decode_cases()))
def test_decode(case: Case) -> None:
    encoder = make_encoder(case, filled_store(case["blobs"]))
    expected, given = case["expected"], case["input"]
    if case["name"] in DECODE_DIFFERENCES:
        with pytest.raises((ReferenceRefusedError, BlobCorruptedError)):
            decode(case["op"], encoder, given)
    elif "error" in expected:
        with pytest.raises(ERRORS[expected["error"]["class"]]) as caught:
            decode(case["op"], encoder, given)
        assert isinstance(caught.value, MistralOffloadError)
    else:
        assert decode(case["op"], encoder, given) == expected


def decode(op: str, encoder: PayloadEncoder, given: Any) -> dict[str, Any]:
    if op == "check_is_payload_encoded":
        return {"value": read_envelope(given) is not None}
    if op == "decode_network_result":
        payload = read_envelope(given)
        value = given if payload is None else encoder.decode_value(payload)
        if isinstance(value, bytes):
            return {"value": {"$bytes_b64": base64.b64encode(value).decode()}}
        return {"value": value}
    if op == "decode_payload_content":
        payload = EncodedPayload(b64(given["data_b64"]), parse_options(given["encoding_options"]))
        return {"data_b64": base64.b64encode(encoder.decode(payload)).decode()}
    # Events carry the same transforms in another envelope.
    assert op == "decode_event_payload"
    options = parse_options(given.get("encoding_options") or [])
    if not options or not isinstance(given["value"], str):
        return {"value": given}
    payload = EncodedPayload(binascii.a2b_base64(given["value"]), options)
    return {"value": {**given, "value": encoder.decode_value(payload), "encoding_options": []}}


def test_listed_differences_exist() -> None:
    assert not ENCODE_DIFFERENCES.unused(encode_cases())
    assert not DECODE_DIFFERENCES.unused(decode_cases())


def test_cases_were_found() -> None:
    assert len(encode_cases()) > 60
    assert len(decode_cases()) > 30
