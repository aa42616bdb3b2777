"""Payloads without a context: failure details, heartbeats, memos."""

from __future__ import annotations

from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.exceptions import ApplicationError

from mistral_offload.errors import EncryptionNotConfiguredError, PayloadDecodeError
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage import MemoryStore
from mistral_offload.temporal import OffloadingCodec, data_converter
from tests.payload.configs import KEYS, encryption, every_combination

COMBINATIONS = list(every_combination())
MARKED = b'{ "a": {"field_type": "__encrypted_str__", "data": "5ec4e7"} }'


def payload(encoding: bytes | None, data: bytes, **metadata: bytes) -> Payload:
    named = {} if encoding is None else {"encoding": encoding}
    return Payload(metadata={**named, **metadata}, data=data)


PAYLOADS = [
    payload(b"json/plain", b'"x"'),
    payload(b"json/plain", b'{"a":"' + b"x" * 2000 + b'"}', custom=b"\0\1"),
    payload(b"binary/plain", MARKED * 20),
    payload(b"binary/plain", b"\xff" * 500),
    payload(b"binary/null", b""),
    payload(None, b"raw"),
    payload(b"json/protobuf", b'{"f":1}', messageType=b"x.Y"),
]


@pytest.mark.parametrize("config", COMBINATIONS, ids=lambda c: PayloadEncoder(**c).description)
async def test_what_is_done_is_undone(config: dict[str, Any]) -> None:
    codec = OffloadingCodec(PayloadEncoder(**config, store=MemoryStore()))
    encoded = await codec.encode(PAYLOADS)
    assert await codec.decode(encoded) == PAYLOADS
    again = await codec.encode(encoded)
    assert await codec.decode(again) == PAYLOADS
    for before, after in zip(PAYLOADS, encoded, strict=True):
        if after.data != before.data:
            assert after.metadata.keys() & {"encoding-orig", "encoding_options"}
    if config["encryption"] is not None and config["encryption"].is_full:
        assert all(after.metadata["encoding"].startswith(b"binary/enc") for after in encoded)


async def test_marked_fields_of_json_are_encrypted_and_the_rest_stays_readable() -> None:
    codec = OffloadingCodec(PayloadEncoder(encryption=encryption("partial")))
    (encoded,) = await codec.encode([payload(b"json/plain", MARKED)])
    assert encoded.metadata["encoding"] == b"json/plain"
    assert encoded.metadata["encoding_options"] == b"encrypted-partial"
    assert b"5ec4e7" not in encoded.data
    (decoded,) = await codec.decode([encoded])
    assert decoded.data == MARKED.replace(b" ", b"")
    assert dict(decoded.metadata) == {"encoding": b"json/plain"}


async def test_a_memo_that_was_never_encoded_is_left_alone() -> None:
    codec = OffloadingCodec(PayloadEncoder(encryption=encryption()))
    memo = payload(b"json/plain", b'"m"', is_unencoded_memo=b"true", encoding_options=b"rot13")
    assert await codec.decode([memo]) == [memo]


@pytest.mark.parametrize(
    ("broken", "missing"),
    [
        (payload(b"binary/encrypted", bytes(40)), "encoding-orig"),
        (payload(b"binary/encoded", b"x", **{"encoding-orig": b""}), "encoding_options"),
        (payload(b"json/plain", b"1", encoding_options=b"rot13"), "rot13"),
    ],
)
async def test_what_does_not_say_how_to_undo_it(broken: Payload, missing: str) -> None:
    codec = OffloadingCodec(PayloadEncoder(encryption=encryption()))
    with pytest.raises(PayloadDecodeError, match=missing):
        await codec.decode([broken])


async def test_without_keys() -> None:
    (sealed,) = await OffloadingCodec(PayloadEncoder(encryption=encryption())).encode(PAYLOADS[:1])
    with pytest.raises(EncryptionNotConfiguredError):
        await OffloadingCodec(PayloadEncoder()).decode([sealed])


@pytest.mark.parametrize("mode", ["full", "partial"])
async def test_messages_of_failures_are_hidden_in_full_mode(mode: str) -> None:
    converter = data_converter(PayloadEncoder(encryption=encryption(mode, main_key=KEYS[1])))
    failure = Failure()
    try:
        raise ApplicationError("5ec4e7", {"detail": "5ec4e7"}) from ValueError("5ec4e7")
    except ApplicationError as error:
        await converter.encode_failure(error, failure)
    readable = b"5ec4e7" in failure.SerializeToString()
    assert readable is (mode == "partial")
    read = await converter.decode_failure(failure)
    assert isinstance(read, ApplicationError)
    assert read.message == "5ec4e7"
    assert read.details[0] == {"detail": "5ec4e7"}
    assert "test_plain_payloads" in (read.failure.stack_trace if read.failure else "") or readable
