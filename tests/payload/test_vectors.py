"""The encoder against recorded cases of the official client.

The cases run with ``encrypt_blobs=False``: the official client offloads before it encrypts, so
that its blobs lie in the clear (quirk 1).
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any

import pytest
from pydantic_core import to_json

from mistral_offload.config import (
    BlobStorageConfig,
    PayloadOffloadingConfig,
)
from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    ConfigurationError,
    EncryptionNotConfiguredError,
    MistralOffloadError,
    OffloadingNotConfiguredError,
    PayloadDecodeError,
    PayloadDecompressionError,
    PayloadDecryptionError,
    PayloadEncryptionError,
    ReferenceRefusedError,
)
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded_payload import EncodedPayload, parse_options
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.envelope import read_envelope, write_envelope
from mistral_offload.payload.jsontext import dump_json, load_json
from mistral_offload.storage import MemoryStore
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

OTHER_EXPONENTS = "older versions of pydantic and orjson write 1e16, newer ones 1e+16"
NO_MARKED_FIELD = "JSON without a marked field is left as it is, not written again"
ENCODE_DIFFERENCES = Differences(
    {
        "default_threshold/offload/+0": "our default floor is the platform's 2 MiB, not 1 MiB",
        "parity/encryption/partial/main/numbers": NO_MARKED_FIELD,
        "partial/no_marker_reserialise/numbers": NO_MARKED_FIELD,
        **{
            f"raw/partial/{name}": NO_MARKED_FIELD
            for name in ("spaces", "dupe", "scalar", "bom", "nan")
        },
        **{
            f"{mode}/numbers": OTHER_EXPONENTS
            for mode in ("plain", "full/aes256")
            if to_json(1e16) == b"1e16"
        },
    }
)
DECODE_DIFFERENCES = Differences(
    {
        "reference/arbitrary_key": "a reference may only name an offloaded payload (law 8)",
        "reference/hash_not_verified": "what is read must hash to what its key says (law 8)",
        "event/offloaded_with_config": "a reference may only name an offloaded payload (law 8)",
        "event/error/offloaded_without_config": "the reference is refused first (law 8)",
        "order/encrypted_then_offloaded": "a reference may only name an offloaded payload (law 8)",
        "error/compressed_frame_without_content_size": "a small one is read nevertheless",
        "event/json_patch_partial_*": "patches are left as they are (quirk 11)",
        "event/json_patch_append_non_string": "patches are left as they are (quirk 11)",
    }
)
EVENT_SHAPES = {
    "event/error/value_missing",
    "event/error/type_missing",
    "event/error/value_is_object",
    "event/error/not_json_after_decrypt",
}
"""Cases about the envelope of events, not its content."""
ERRORS: dict[str, Any] = {
    "WorkflowPayloadOffloadingException": OffloadingNotConfiguredError,
    "WorkflowPayloadEncryptionException": (PayloadDecryptionError, EncryptionNotConfiguredError),
    "WorkflowPayloadCompressionException": PayloadDecompressionError,
    "ZstdError": PayloadDecompressionError,
    "ValueError": PayloadDecodeError,
    "BlobNotFoundError": BlobNotFoundError,
    "Error": PayloadDecodeError,  # binascii.Error
    "JSONDecodeError": PayloadDecodeError,
    "ValidationError": PayloadDecodeError,
    "KeyError": PayloadDecodeError,
    "TypeError": PayloadDecodeError,
}


def encode_cases() -> list[Case]:
    return load("payload_encode")


def decode_cases() -> list[Case]:
    return [case for case in load("payload_decode") if case["name"] not in EVENT_SHAPES]


def make_encoder(case: Case, store: MemoryStore) -> PayloadEncoder:
    return PayloadEncoder(
        make_offloading(case),
        encryption=encryption_of(case["config"]),
        compression=compression_of(case["config"]),
        store=store,
    )


def make_offloading(case: Case) -> PayloadOffloadingConfig | None:
    recorded = case["config"].get("offloading")
    if recorded is None:
        return None
    bucket = None if recorded.get("storage", ...) is None else BlobStorageConfig(bucket_name="b")
    values = {"storage_config": bucket} if bucket else {}
    if "min_size_bytes" in recorded:
        values["min_size_bytes"] = recorded["min_size_bytes"]
    return PayloadOffloadingConfig(**values)


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
def test_encode(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    store = filled_store(case.get("existing_blobs", {}))
    expected = case["expected"]
    if expected.get("error", {}).get("class") in ("KeyError", "AttributeError"):
        with pytest.raises(PayloadEncryptionError, match="data"):
            encode(case, make_encoder(case, store))
        return
    if "error" in expected:
        # The official client raises when the encoder is built, ours when the configuration is.
        with pytest.raises(ConfigurationError, match=r"storage_config|main_key|secondary_key"):
            make_encoder(case, store)
        return
    remaining = use_nonces(case, monkeypatch)
    encoder = make_encoder(case, store)
    payload = encode(case, encoder)
    assert not remaining
    blobs = {stat.key: store.get(stat.key) for stat in store.list()}
    options = [option.value for option in payload.options]
    if case["name"] == "default_threshold/offload/+0":
        assert options == []
        return
    assert options == expected["encoding_options"]
    assert readable(encoder.decode(payload)) == readable(original(case))
    if case["name"] in ENCODE_DIFFERENCES:
        return
    if not case["compare_bytes"]:  # they depend on the build of zstd
        assert len(blobs) == len(case.get("blobs", {}))
        return
    if case.get("digest"):
        assert len(payload.data) == expected["payload_size"]
        return
    if "b64payload" in expected:
        assert load_json(write_envelope(payload)) == expected
    else:
        assert payload.data == b64(expected["data_b64"])
    assert blobs == {key: b64(text) for key, text in case["blobs"].items()}


def encode(case: Case, encoder: PayloadEncoder) -> EncodedPayload:
    context = PayloadContext(**case["context"]) if case.get("context") else None
    if case["op"] == "encode_network_input":
        return encoder.encode_value(input_value(case), context)
    if case["op"] == "encode_payload_content":
        return encoder.encode(b64(case["data_b64"]), context, offload=offload_flag(case))
    assert case["op"] == "encode_event_payload_content"
    return encoder.encode(b64(case["data_b64"]), None)  # events are never offloaded


def original(case: Case) -> bytes:
    return b64(case["data_b64"]) if "data_b64" in case else dump_json(input_value(case))


def readable(data: bytes) -> str:
    """Normalize data, so that equal meanings compare equal, even with NaN or without JSON."""
    try:
        return repr(json.loads(data))
    except ValueError:
        return repr(data)


def offload_flag(case: Case) -> bool | None:
    options = case.get("options") or {}
    if options.get("allow_offloading") is False:
        return False
    return options.get("force_offload") or None


@pytest.mark.parametrize("case", parameters(decode_cases()))
def test_decode(case: Case) -> None:
    encoder = make_encoder(case, filled_store(case["blobs"]))
    expected, given = case["expected"], case["input"]
    name = case["name"]
    if "law 8" in DECODE_DIFFERENCES.get(name, ""):
        with pytest.raises((ReferenceRefusedError, BlobCorruptedError)):
            decode(case["op"], encoder, given)
    elif "quirk 11" in DECODE_DIFFERENCES.get(name, ""):
        found = decode(case["op"], encoder, given)["value"]["value"]
        wanted = [patch.get("raw", patch) for patch in expected["value"]["value"]]
        assert [{**patch, **official} for patch, official in zip(found, wanted, strict=True)] == (
            found
        )
    elif name in DECODE_DIFFERENCES:
        assert set(decode(case["op"], encoder, given)["value"]["s"]) == set("public")
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
    if not options:
        return {"value": given}
    if isinstance(given["value"], list):
        opened = encoder.decode_patches(given["value"])
    else:
        opened = encoder.decode_value(EncodedPayload(binascii.a2b_base64(given["value"]), options))
    return {"value": {**given, "value": opened, "encoding_options": []}}


def test_listed_differences_exist() -> None:
    assert not ENCODE_DIFFERENCES.unused(encode_cases())
    assert not DECODE_DIFFERENCES.unused(decode_cases())


def test_cases_were_found() -> None:
    assert len(encode_cases()) == 243
    assert len(decode_cases()) == 215 - len(EVENT_SHAPES)
