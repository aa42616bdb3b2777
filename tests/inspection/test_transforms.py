"""Every way to encode a payload, decoded by its recorded options and by its bytes alone."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mistral_offload.config import (
    BlobStorageConfig,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
)
from mistral_offload.errors import (
    EncryptionNotConfiguredError,
    PayloadDecodeError,
    PayloadDecompressionError,
    PayloadDecryptionError,
)
from mistral_offload.inspection.transforms import TransformDecoder
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.partial_encryption import MARKER
from mistral_offload.storage import MemoryStore

KEYS = ["8f" * 32, "11" * 32, "22" * 16]
CONTEXT = PayloadContext("ns", "e")
VALUE = {"pages": ["All work and no play"] * 500, "secret": {"field_type": MARKER, "data": "x" * 9}}
TEXT = json.dumps(VALUE, separators=(",", ":")).encode()
LIMIT = 1_000_000


def encryption(*keys: str, **values: Any) -> PayloadEncryptionConfig:
    main, *others = keys
    old = {"secondary_key": others[0], "retired_keys": others[1:]} if others else {}
    return PayloadEncryptionConfig(**{"mode": "full", "main_key": main, **old, **values})


def blob_of(
    config: PayloadEncryptionConfig | None, compressed: bool
) -> tuple[bytes, EncodedPayload]:
    """Return the stored blob, and the encoded payload that refers to it."""
    store = MemoryStore()
    offloading = PayloadOffloadingConfig(
        storage_config=BlobStorageConfig(bucket_name="b"), min_size_bytes=0
    )
    encoder = PayloadEncoder(
        offloading,
        encryption=config,
        compression=PayloadCompressionConfig(min_size_bytes=0) if compressed else None,
        store=store,
    )
    encoded = encoder.encode(TEXT, CONTEXT)
    (blob,) = store.list()
    return store.get(blob.key), encoded


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("mode", [None, "full", "partial"])
@pytest.mark.parametrize("encrypt_blobs", [None, False, True])
def test_detected_transforms_match_the_recorded_options(
    mode: str | None, compressed: bool, encrypt_blobs: bool | None
) -> None:
    config = encryption(KEYS[0], mode=mode, encrypt_blobs=encrypt_blobs) if mode else None
    blob, encoded = blob_of(config, compressed)
    last = encoded.options.index(EncodingOption.OFFLOADED)
    decoder = TransformDecoder(config or encryption(KEYS[0]), largest_bytes=LIMIT)
    followed = decoder.decode(blob, encoded.options[:last])
    # A marked field in plain text looks like one that no key decrypts, so it is left out.
    assert followed.error is None
    assert json.loads(followed.data) == VALUE
    assert [each.name for each in followed.transforms] == [
        option.value for option in encoded.options[:last]
    ]
    if mode == "partial":
        assert decoder.detect_and_decode(blob) == followed
    reference = decoder.decode(encoded.data, encoded.options)
    assert json.loads(reference.data)["key"].startswith("temporal-payload/ns/e/")
    assert len(reference.transforms) == (mode == "full")


@pytest.mark.parametrize("compressed", [False, True])
@pytest.mark.parametrize("encrypted", [False, True])
def test_without_marked_fields(compressed: bool, encrypted: bool) -> None:
    """Holds also with keys that were not used to encrypt."""
    config = encryption(*KEYS)
    encoder = PayloadEncoder(
        encryption=config if encrypted else None,
        compression=PayloadCompressionConfig(min_size_bytes=0) if compressed else None,
    )
    data = json.dumps({"pages": ["x"] * 500}).encode()
    decoded = TransformDecoder(config, largest_bytes=LIMIT).detect_and_decode(
        encoder.encode(data, None).data
    )
    assert (decoded.data, decoded.error) == (data, None)
    expected = ["compressed: zstd level 3"] * compressed + [
        "encrypted: decrypted with main_key"
    ] * (encrypted)
    assert [f"{each.name}: {each.detail}" for each in decoded.transforms] == expected
    assert [each.size < len(data) for each in decoded.transforms] == (
        [True] * len(expected) if compressed else [False] * len(expected)
    )


@pytest.mark.parametrize("mode", ["full", "partial"])
def test_the_key_that_decrypts_is_named(mode: str) -> None:
    blob, encoded = blob_of(encryption(KEYS[2], mode=mode), compressed=False)
    decoder = TransformDecoder(encryption(*KEYS, mode=mode), largest_bytes=LIMIT)
    decoded = decoder.decode(
        blob, encoded.options[:-1] if mode == "partial" else encoded.options[:1]
    )
    assert [each.detail for each in decoded.transforms] == ["decrypted with retired_keys[0]"]


@pytest.mark.parametrize("mode", ["full", "partial"])
def test_no_key_decrypts_it(mode: str) -> None:
    blob, _ = blob_of(encryption(KEYS[2], mode=mode), compressed=False)
    decoded = TransformDecoder(
        encryption(*KEYS[:2], mode=mode), largest_bytes=LIMIT
    ).detect_and_decode(blob)
    assert isinstance(decoded.error, PayloadDecryptionError)
    assert "(main_key, secondary_key)" in str(decoded.error)
    assert "TEMPORAL_PAYLOAD_ENCRYPTION__SECONDARY_KEY" in str(decoded.error)
    assert not any(key in str(decoded.error) for key in KEYS)
    assert [each.detail for each in decoded.transforms] == ["not decoded"]


def test_no_key_at_all() -> None:
    blob, _ = blob_of(encryption(KEYS[0]), compressed=True)
    decoded = TransformDecoder(None, largest_bytes=LIMIT).detect_and_decode(blob)
    assert isinstance(decoded.error, EncryptionNotConfiguredError)
    assert "TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KEY" in str(decoded.error)


def test_two_keys_in_one_value() -> None:
    fields: list[Any] = []
    for key in KEYS[:2]:
        encoded = PayloadEncoder(encryption=encryption(key, mode="partial")).encode(TEXT, None)
        fields.append(json.loads(encoded.data))
    both = json.dumps(fields).encode()
    decoded = TransformDecoder(
        encryption(*KEYS, mode="partial"), largest_bytes=LIMIT
    ).detect_and_decode(both)
    assert json.loads(decoded.data) == [VALUE, VALUE]
    assert [each.detail for each in decoded.transforms] == ["decrypted with several keys"]


def test_content_that_unpacks_beyond_the_limit() -> None:
    blob, _ = blob_of(None, compressed=True)
    decoded = TransformDecoder(None, largest_bytes=1000).detect_and_decode(blob)
    assert isinstance(decoded.error, PayloadDecompressionError)
    assert "1,000" in str(decoded.error)


def test_too_many_transforms() -> None:
    decoded = TransformDecoder(None, largest_bytes=LIMIT).decode(
        b"", [EncodingOption.COMPRESSED] * 9
    )
    assert isinstance(decoded.error, PayloadDecodeError)


@pytest.mark.parametrize("data", [b"", b"null", b"plain text", "ü".encode(), b"[" * 10_000])
def test_text_is_left_as_it_is(data: bytes) -> None:
    decoded = TransformDecoder(encryption(KEYS[0]), largest_bytes=LIMIT).detect_and_decode(data)
    assert (decoded.data, decoded.transforms, decoded.error) == (data, (), None)


def test_fields() -> None:
    config = encryption(KEYS[0], encrypt_fields=True)
    blob = PayloadEncoder(encryption=config).encode_field_blob(b"\xff\0", namespace="n", run_id="r")
    decoder = TransformDecoder(config, largest_bytes=LIMIT)
    decoded = decoder.decode_field(blob)
    assert decoded.data == b"\xff\0"
    (transform,) = decoded.transforms
    assert (transform.name, transform.size) == ("encrypted", len(blob))
    assert decoder.decode_field(b"\xff\0").transforms == ()
    locked = TransformDecoder(encryption(KEYS[1]), largest_bytes=LIMIT).decode_field(blob)
    assert isinstance(locked.error, PayloadDecryptionError)
