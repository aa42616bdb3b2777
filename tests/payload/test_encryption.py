"""AES-GCM framing, key rotation, and marked fields, beyond the recorded cases."""

from __future__ import annotations

import json
import pickle
from typing import Any

import pytest

from mistral_offload import EncryptedStrField
from mistral_offload.errors import (
    EncryptionNotConfiguredError,
    PayloadDecodeError,
    PayloadDecryptionError,
    PayloadEncryptionError,
)
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.encryption import OVERHEAD_BYTES, Cipher
from mistral_offload.payload.field_blob import HEADER
from mistral_offload.payload.partial_encryption import decrypt_marked, encrypt_marked
from mistral_offload.storage import MemoryStore
from tests.payload.configs import CONTEXT, KEYS, encryption, offloading

SECRET = "the marker 5ec4e7"


def test_the_same_bytes_look_different_every_time() -> None:
    cipher = Cipher(encryption())
    sealed = {cipher.encrypt(b"same") for _ in range(100)}
    assert len(sealed) == 100
    assert {cipher.decrypt(data) for data in sealed} == {b"same"}
    assert {len(data) for data in sealed} == {4 + OVERHEAD_BYTES}


def test_a_blob_looks_the_same_within_its_execution_only() -> None:
    def sealed(data: bytes, namespace: str, execution_id: str, key: str = KEYS[0]) -> bytes:
        cipher = Cipher(encryption(main_key=key))
        blob = cipher.encrypt_blob(data, namespace=namespace, execution_id=execution_id)
        assert cipher.decrypt(blob) == data
        return blob

    assert sealed(b"same", "acme", "e") == sealed(b"same", "acme", "e")
    others = [
        sealed(b"same", "acme", "e"),
        sealed(b"Same", "acme", "e"),
        sealed(b"same", "acme", "f"),
        sealed(b"same", "acm", "ee"),
        sealed(b"same", "acme", "e", KEYS[3]),
    ]
    assert len({blob[:12] for blob in others}) == len(others), "no nonce may come back"


def test_a_value_that_is_encoded_again_is_the_same_blob() -> None:
    store = MemoryStore()
    for _ in range(3):  # a retry or a replay, by an encoder without state
        encoder = PayloadEncoder(offloading(), encryption=encryption(), store=store)
        payload = encoder.encode(b'"value"', CONTEXT)
        assert encoder.decode(payload) == b'"value"'
    assert len(list(store.list())) == 1


def test_blobs_hold_ciphertext_in_the_order_that_official_readers_undo() -> None:
    store = MemoryStore()
    encoder = PayloadEncoder(offloading(), encryption=encryption(), store=store)
    payload = encoder.encode(json.dumps(SECRET).encode(), CONTEXT)
    assert [option.value for option in payload.options] == ["encrypted", "offloaded", "encrypted"]
    (stat,) = store.list()
    assert SECRET.encode() not in store.get(stat.key)
    # As the official client reads it: decrypt, fetch, decrypt.
    reference = json.loads(Cipher(encryption()).decrypt(payload.data))
    blob = store.get(reference["key"])
    assert json.loads(Cipher(encryption()).decrypt(blob)) == SECRET


def test_rotation() -> None:
    first, second, third, fourth = KEYS
    old = Cipher(encryption(main_key=first)).encrypt(b"x")
    rotated = encryption(main_key=second, secondary_key=first)
    assert Cipher(rotated).decrypt(old) == b"x"
    twice = encryption(main_key=fourth, secondary_key=third, retired_keys=(second, first))
    assert Cipher(twice).decrypt(old) == b"x"
    assert Cipher(twice).decrypt(Cipher(rotated).encrypt(b"y")) == b"y"
    with pytest.raises(PayloadDecryptionError, match=r"the one key .* retired_keys"):
        Cipher(encryption(main_key=second)).decrypt(old)
    with pytest.raises(PayloadDecryptionError, match="any of the 2 keys"):
        Cipher(rotated).decrypt(Cipher(encryption(main_key=third)).encrypt(b"z"))


@pytest.mark.parametrize("size", [0, 1, 7, 8, 12, 27])
def test_too_few_bytes_to_be_encrypted(size: int) -> None:
    with pytest.raises(PayloadDecryptionError, match="too few"):
        Cipher(encryption()).decrypt(bytes(size))


def test_every_bit_counts() -> None:
    cipher = Cipher(encryption())
    sealed = cipher.encrypt(b"xyz")
    for place in range(len(sealed) * 8):
        changed = bytearray(sealed)
        changed[place // 8] ^= 1 << place % 8
        with pytest.raises(PayloadDecryptionError):
            cipher.decrypt(bytes(changed))


def test_more_than_aes_gcm_takes() -> None:
    class Huge(bytes):
        def __len__(self) -> int:
            return 2**31

    with pytest.raises(PayloadEncryptionError, match="2,147,483,648 bytes"):
        Cipher(encryption()).encrypt(Huge())


def test_marked_fields() -> None:
    value = {"open": 1, "list": [EncryptedStrField(data=SECRET)], "b": EncryptedStrField(data="é")}
    encoder = PayloadEncoder(encryption=encryption("partial"))
    payload = encoder.encode_value(value, None)
    assert payload.options == (EncodingOption.ENCRYPTED_PARTIAL,)
    assert SECRET.encode() not in payload.data
    assert json.loads(payload.data)["open"] == 1
    read = encoder.decode_value(payload)
    assert read["list"] == [{"field_type": "__encrypted_str__", "data": SECRET}]
    assert EncryptedStrField(**read["b"]).data == "é"
    assert SECRET not in repr(value["list"])


def test_without_a_marked_field_nothing_is_written_again() -> None:
    cipher = Cipher(encryption("partial"))
    for data in (b'{"a": 1.0000000000000000001, "a": 1}', b" [1e999]", b"\xff\x00", b"[" * 5000):
        assert encrypt_marked(data, cipher) is None if data != b"[" * 5000 else True
        assert decrypt_marked(data, None) == data


@pytest.mark.parametrize(
    "text",
    [
        r'{"field_type": "\u005f_encrypted_str__", "data": "5ec4e7"}',
        r'{"\u0066ield_type": "__encrypted_str__", "data": "5ec4e7"}',
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-32-be"])
def test_a_marker_cannot_hide(text: str, encoding: str) -> None:
    cipher = Cipher(encryption("partial"))
    sealed = encrypt_marked(text.encode(encoding), cipher)
    assert sealed is not None
    assert b"5ec4e7" not in sealed
    assert json.loads(decrypt_marked(sealed, cipher))["data"] == "5ec4e7"


@pytest.mark.parametrize(
    "data",
    [
        b'{"field_type": "__encrypted_str__"}',
        b'{"field_type": "__encrypted_str__", "data": 7}',
        b'[{"field_type": "__encrypted_str__", "data": "x"}, ' + b"[" * 200_000 + b"]" * 200_001,
        b'[{"field_type": "__encrypted_str__", "data": "x"}, ' + b"1" * 5000 + b"]",
    ],
)
def test_what_cannot_be_encrypted_does_not_travel(data: bytes) -> None:
    with pytest.raises(PayloadEncryptionError) as caught:
        encrypt_marked(data, Cipher(encryption("partial")))
    assert "111" not in str(caught.value)


@pytest.mark.parametrize("field", [None, 7, "A", "AAAA", {"a": 1}])
def test_fields_that_were_never_encrypted(field: Any) -> None:
    data = json.dumps({"field_type": "__encrypted_str__", "data": field}).encode()
    with pytest.raises(PayloadDecodeError):
        decrypt_marked(data, Cipher(encryption("partial")))


def test_without_keys_the_error_names_the_remedy() -> None:
    for mode in ("full", "partial"):
        encoder = PayloadEncoder(encryption=encryption(mode))
        payload = encoder.encode_value(EncryptedStrField(data=SECRET), None)
        with pytest.raises(EncryptionNotConfiguredError, match="TEMPORAL_PAYLOAD_ENCRYPTION__"):
            PayloadEncoder().decode(payload)


def test_either_mode_reads_the_other() -> None:
    full, partial = (PayloadEncoder(encryption=encryption(mode)) for mode in ("full", "partial"))
    for writer, reader in ((full, partial), (partial, full)):
        value = {"field_type": "__encrypted_str__", "data": SECRET}
        assert reader.decode_value(writer.encode_value(value, None)) == value


def test_field_blobs() -> None:
    scope = {"namespace": "acme", "run_id": "r"}
    plain = PayloadEncoder(encryption=encryption())
    assert plain.encode_field_blob(b'"x"', **scope) == b'"x"'
    encoder = PayloadEncoder(encryption=encryption(encrypt_fields=True))
    blob = encoder.encode_field_blob(b'"5ec4e7"', **scope)
    assert encoder.encode_field_blob(b'"5ec4e7"', **scope) == blob
    assert encoder.encode_field_blob(b'"5ec4e7"', namespace="acme", run_id="s") != blob
    assert b"5ec4e7" not in blob
    assert blob.startswith(HEADER)
    for reader in (encoder, plain):  # the write settings do not limit what can be read
        assert reader.decode_field_blob(blob) == b'"5ec4e7"'
        assert reader.decode_field_blob(b'"plain"') == b'"plain"'
    with pytest.raises(EncryptionNotConfiguredError):
        PayloadEncoder().decode_field_blob(blob)
    with pytest.raises(PayloadDecryptionError):
        encoder.decode_field_blob(blob[:-1])
    with pytest.raises(UnicodeDecodeError):
        json.loads(blob)  # a reader that does not know the form


def test_no_error_and_no_object_shows_a_key() -> None:
    config = encryption(secondary_key=KEYS[3])
    encoder = PayloadEncoder(offloading(), encryption=config, store=MemoryStore())
    raw = [repr(key) for key in config.keys]
    with pytest.raises(PayloadDecryptionError) as caught:
        encoder.decode(EncodedPayload(bytes(40), (EncodingOption.ENCRYPTED,)))
    shown = f"{encoder!r} {encoder.description} {config!r} {caught.value!r} {vars(caught.value)}"
    assert not any(text in shown for text in (*KEYS, *raw))
    assert pickle.loads(pickle.dumps(config)) == config
