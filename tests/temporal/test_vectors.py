"""Payloads as the official worker writes and reads them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, Optional, Union

import pytest
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import (
    BlobNotFoundError,
    ConfigurationError,
    EncryptionNotConfiguredError,
    OffloadingNotConfiguredError,
    PayloadDecodeError,
    PayloadDecryptionError,
    PayloadSerializationError,
)
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import (
    ContextValue,
    OffloadingCodec,
    data_converter,
    read_context,
    read_value,
)
from mistral_offload.temporal.wire.context_payloads import carries_context, read_context_payload
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

CASES = load("temporal_payloads")


class Point(BaseModel):
    x: int
    label: str | None = None


HINTS: dict[str, Any] = {
    "none": None,
    "dict": dict,
    "str": str,
    "int": int,
    "float": float,
    "list_int": list[int],
    "optional_str": Optional[str],  # noqa: UP045
    "union_none_int": Union[None, int],  # noqa: UP007
    "none_type": type(None),
    "bytes": bytes,
    "any": Any,
    "model_Point": Point,
    "optional_model_Point": Optional[Point],  # noqa: UP045
}

ERRORS: dict[str, Any] = {
    "BlobNotFoundError": BlobNotFoundError,
    "JSONDecodeError": PayloadDecodeError,
    "KeyError": (KeyError, PayloadDecodeError),
    "PydanticSerializationError": PayloadDecodeError,
    "TypeError": PayloadDecodeError,
    "ValidationError": PayloadDecodeError,
    "ValueError": PayloadDecodeError,
    "WorkflowPayloadEncryptionException": (PayloadDecryptionError, EncryptionNotConfiguredError),
    "WorkflowPayloadOffloadingException": (PayloadDecodeError, OffloadingNotConfiguredError),
}


DIFFERENCES = Differences(
    {
        "from_payload/with_context/null/any": "null for Any is None, not an empty object [Q 4]",
        "from_payload/not_a_context_payload": "a claimed context that is none is an error",
        "from_payload/outer_not_json": "a claimed context that is none is an error",
        "to_payload/with_context_payload_object": "a value is a value, not JSON text in a member",
        "to_payload/with_context_payload_invalid_utf8": "the error is ours, and names the type",
        "other_encoding/no_encoding_metadata/full": "no encoding comes back as none, not as empty",
        "other_encoding/no_encoding_metadata/offload+full": "no encoding comes back as none",
        "other_encoding/big_json_with_marker/partial": "recorded, so that it is undone [Q 5]",
        "other_encoding/big_json_with_marker/compress": "recorded, so that it is undone [Q 5]",
        "other_encoding/big_json_with_marker/compress+full": "recorded as well [Q 5]",
    }
)
INSTEAD: dict[str, Any] = {
    "from_payload/with_context/null/any": None,
    "from_payload/not_a_context_payload": PayloadDecodeError,
    "from_payload/outer_not_json": PayloadDecodeError,
    "to_payload/with_context_payload_object": {"a": 1},
    "to_payload/with_context_payload_invalid_utf8": PayloadSerializationError,
    **{
        f"other_encoding/no_encoding_metadata/{config}": {
            "encoding": "binary/encrypted",
            "encoding-orig": "",
        }
        for config in ("full", "offload+full")
    },
    "other_encoding/big_json_with_marker/partial": {"encoding_options": "encrypted-partial"},
    "other_encoding/big_json_with_marker/compress": {
        "encoding": "binary/encoded",
        "encoding-orig": "json/plain",
        "encoding_options": "compressed",
    },
    "other_encoding/big_json_with_marker/compress+full": {
        "encoding": "binary/encoded",
        "encoding-orig": "json/plain",
        "encoding_options": "compressed,encrypted",
    },
}


@pytest.mark.parametrize("case", parameters(CASES))
async def test_vector(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    if case["name"].startswith("error/"):
        with pytest.raises(ConfigurationError):
            encoder_of(case, MemoryStore())
        return
    use_nonces(case, monkeypatch)
    await {
        "to_payload": check_to_payload,
        "from_payload": check_from_payload,
        "encode": check_encode,
        "decode": check_decode,
    }[case["op"]](case)


def test_every_difference_is_used() -> None:
    assert not DIFFERENCES.unused(CASES)
    assert set(DIFFERENCES) == set(INSTEAD)


def test_the_selection_is_what_it_was() -> None:
    assert len(CASES) == 295


async def check_to_payload(case: Case) -> None:
    given, expected = case["value"], expected_of(case, case["expected"])
    converter = data_converter().payload_converter
    if given["kind"] != "with_context":
        assert_same(converter.to_payload(plain_value(given)), payload_of(expected))
        return
    value = ContextValue(inner_value(given), context_of(given["context"]), empty=given["empty"])
    if is_error(expected):
        with pytest.raises(expected):
            converter.to_payload(value)
        return
    written = converter.to_payload(value)
    assert written.metadata["encoding_options"] == b""
    if isinstance(expected, dict) and "data_b64" in expected:
        official = payload_of(expected)
        assert read_context(written) == read_context(official)
        assert read_value(written) == read_value(official)
    else:
        assert read_value(written) == expected


async def check_from_payload(case: Case) -> None:
    payload = payload_of(case["input"])
    hint, expected = HINTS[case["type_hint"]], expected_of(case, case["expected"])
    converter = data_converter().payload_converter
    if is_error(expected):
        with pytest.raises(expected):
            converter.from_payload(payload, hint)
        return
    if not isinstance(expected, dict) or "kind" not in expected:
        assert converter.from_payload(payload, hint) == expected
        return
    if expected["kind"] == "with_context":
        assert read_context(payload) == context_of(expected["context"])
        expected = expected["payload"]
    found = converter.from_payload(payload, hint)
    wanted = plain_value(expected)
    assert found == wanted
    assert type(found) is type(wanted)


async def check_encode(case: Case) -> None:
    store = MemoryStore()
    codec = OffloadingCodec(encoder_of(case, store))
    given = [payload_of(item) for item in case["input"]]
    before = [item.SerializeToString(deterministic=True) for item in given]
    expected = expected_of(case, case["encoded"])
    if is_error(expected):
        with pytest.raises(expected):
            await codec.encode(given)
        return
    # One at a time, as the recorded nonces are in that order.
    encoded = [(await codec.encode([item]))[0] for item in given]
    assert [item.SerializeToString(deterministic=True) for item in given] == before
    written = {key for _, key in store.requests}
    if case["name"] in DIFFERENCES:
        check_difference(case, given, encoded)
        assert await codec.decode(encoded) == given
        return
    if case["compare"] == "semantic":  # bytes depend on the build of zstd, or on the writer of JSON
        for found, wanted in zip(encoded, expected, strict=True):
            assert dict(found.metadata) == dict(payload_of(wanted).metadata)
        assert len(written) == len(case["blobs"])
    else:
        same = assert_same if case["compare"] == "bytes" else assert_same_value
        for found, wanted in zip(encoded, expected, strict=True):
            same(found, payload_of(wanted))
        assert written == set(case["blobs"])
        for key, blob in case["blobs"].items():
            assert store.get(key) == b64(blob)
    assert_decoded(await codec.decode(encoded), case["decoded"])


def check_difference(case: Case, given: Sequence[Payload], encoded: Sequence[Payload]) -> None:
    """Check our encoding of payloads that the official codec encodes but could not decode."""
    (found,), (before,) = encoded, given
    expected = INSTEAD[case["name"]]
    added = {
        key: value.decode()
        for key, value in found.metadata.items()
        if before.metadata.get(key) != value
    }
    assert added == expected


async def check_decode(case: Case) -> None:
    store = MemoryStore()
    for key, blob in case["blobs_in"].items():
        store.put(key, b64(blob))
    codec = OffloadingCodec(encoder_of(case, store))
    given = [payload_of(item) for item in case["input"]]
    before = [item.SerializeToString(deterministic=True) for item in given]
    expected = expected_of(case, case["decoded"])
    if is_error(expected):
        with pytest.raises(expected):
            [read_value(item) for item in await codec.decode(given)]
    else:
        assert_decoded(await codec.decode(given), expected)
    assert [item.SerializeToString(deterministic=True) for item in given] == before


def assert_decoded(found: Sequence[Payload], expected: Sequence[Any]) -> None:
    """Compare decoded payloads; ours keep the context in metadata, not in the outer JSON."""
    for ours, wanted in zip(found, expected, strict=True):
        official = payload_of(wanted)
        if not carries_context(official):
            assert_same_value(ours, official)
            continue
        assert ours.metadata.get("encoding") == b"json/wf_v1"
        assert not ours.metadata.get("encoding_options")
        assert read_context(ours) == read_context(official)
        assert meaning(ours.data) == meaning(read_context_payload(official).data)


def assert_same(found: Payload, expected: Payload) -> None:
    assert dict(found.metadata) == dict(expected.metadata)
    assert found.data == expected.data


def assert_same_value(found: Payload, expected: Payload) -> None:
    assert dict(found.metadata) == dict(expected.metadata)
    assert meaning(found.data) == meaning(expected.data)


def meaning(data: bytes) -> Any:
    """Return the value of JSON text, or other data unchanged."""
    try:
        return json.loads(data)
    except ValueError:
        return data


def expected_of(case: Case, recorded: Any) -> Any:
    if case["name"] in DIFFERENCES and "encoded" not in case:
        return INSTEAD[case["name"]]
    if isinstance(recorded, dict) and "error" in recorded:
        return ERRORS[recorded["error"]["class"]]
    return recorded


def is_error(expected: Any) -> bool:
    return isinstance(expected, type | tuple)


def encoder_of(case: Case, store: MemoryStore) -> PayloadEncoder:
    config = case["config"]
    offloading = None
    if (recorded := dict(config.get("offloading") or {})) and recorded.pop("storage", ...) is None:
        offloading = PayloadOffloadingConfig(**recorded)
    elif recorded:
        storage = BlobStorageConfig(bucket_name="vectors")
        offloading = PayloadOffloadingConfig(storage_config=storage, **recorded)
    return PayloadEncoder(
        offloading,
        encryption=encryption_of(config),
        compression=compression_of(config),
        store=store,
    )


def payload_of(recorded: Mapping[str, Any]) -> Payload:
    return Payload(
        metadata={key: b64(text) for key, text in recorded["metadata"].items()},
        data=b64(recorded["data_b64"]),
    )


def context_of(members: Mapping[str, Any]) -> PayloadContext:
    texts = {key: value if value != "" else None for key, value in members.items()}
    return PayloadContext(**{**texts, "namespace": members["namespace"]})


def inner_value(given: Mapping[str, Any]) -> Any:
    if "payload_b64" not in given:
        text = given["payload"]
        return json.loads(text) if isinstance(text, str) else text
    data = b64(given["payload_b64"])
    try:
        return json.loads(data)
    except ValueError:
        return data


def plain_value(recorded: Mapping[str, Any]) -> Any:
    if recorded["kind"] == "bytes":
        return b64(recorded["b64"])
    value = recorded["value"]
    return Point(**value) if recorded["kind"] == "model" else value
