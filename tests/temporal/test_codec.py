"""The codec and the converter, beyond the recorded cases."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from pydantic import BaseModel
from temporalio.api.common.v1 import Payload

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import (
    OffloadingNotConfiguredError,
    PayloadDecodeError,
    PayloadSerializationError,
)
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded_payload import EncodedPayload
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import (
    ContextValue,
    OffloadingCodec,
    data_converter,
    read_context,
    read_value,
)
from mistral_offload.temporal.wire.context_payloads import ContextPayload
from tests.bounds import until, within

CONTEXT = PayloadContext("acme", "wf-1", execution_token="tok", extensions={"a": 1})
CONFIG = PayloadOffloadingConfig(
    storage_config=BlobStorageConfig(bucket_name="b"), min_size_bytes=100
)


class Defaults(BaseModel):
    label: str = "l"


def offloading(store: MemoryStore) -> OffloadingCodec:
    return OffloadingCodec(PayloadEncoder(CONFIG, store=store))


async def test_only_what_is_large_leaves_and_nothing_small_is_copied() -> None:
    store = MemoryStore()
    codec = offloading(store)
    small = ContextPayload(b'"s"', CONTEXT).to_payload()
    large = ContextPayload(b'"%s"' % (b"l" * 200), CONTEXT).to_payload()
    foreign = Payload(metadata={"encoding": b"json/plain"}, data=b'"%s"' % (b"f" * 200))
    encoded = await codec.encode([small, large, foreign])
    assert encoded[0] is small
    assert encoded[1].metadata["encoding_options"] == b"offloaded"
    assert encoded[2] is foreign
    assert len(store.requests) == 1
    decoded = await codec.decode(encoded)
    assert decoded[0] is small
    assert decoded[1] == large
    assert decoded[2] is foreign
    assert read_context(decoded[1]) == CONTEXT


async def test_encoding_twice_is_encoding_once() -> None:
    codec = offloading(MemoryStore())
    large = ContextPayload(b'"%s"' % (b"l" * 200), CONTEXT).to_payload()
    once = await codec.encode([large])
    assert (await codec.encode(once))[0] is once[0]


class Meeting:
    """An encoder that blocks its calls until all of them have arrived."""

    def __init__(self, parties: int, *, failing: bytes = b"-") -> None:
        self._missing = parties
        self._all = asyncio.Event()
        self.waiting = 0
        self._failing = failing
        self.cancelled = 0

    offloads = False

    async def encode_async(
        self, data: bytes, context: PayloadContext, **how: object
    ) -> EncodedPayload:
        self._missing -= 1
        if not self._missing:
            self._all.set()
        await within(self._all.wait())
        if data == self._failing:
            raise PayloadSerializationError("no")
        self.waiting += 1
        try:
            await asyncio.sleep(0.01 if self._failing == b"-" else 60)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        return EncodedPayload(data)


def payloads(number: int) -> list[Payload]:
    return [ContextPayload(b"%d" % n, CONTEXT).to_payload() for n in range(number)]


async def test_the_payloads_of_a_call_are_encoded_at_the_same_time() -> None:
    meeting: Any = Meeting(5)
    encoded = await OffloadingCodec(meeting).encode(payloads(5))
    assert [payload.data for payload in encoded] == [b"0", b"1", b"2", b"3", b"4"]


async def test_after_a_failure_nothing_is_running() -> None:
    meeting: Any = Meeting(3, failing=b"1")
    with pytest.raises(PayloadSerializationError):
        await OffloadingCodec(meeting).encode(payloads(3))
    assert meeting.cancelled == 2
    assert len(asyncio.all_tasks()) == 1


async def test_a_cancelled_call_leaves_nothing_behind() -> None:
    meeting: Any = Meeting(3, failing=b"none")
    encoding = asyncio.create_task(OffloadingCodec(meeting).encode(payloads(3)))
    await until(lambda: meeting.waiting == 3)
    encoding.cancel()
    with pytest.raises(asyncio.CancelledError):
        await within(encoding)
    assert meeting.cancelled == 3


async def test_a_reference_without_a_configuration() -> None:
    codec = offloading(MemoryStore())
    large = ContextPayload(b'"%s"' % (b"l" * 200), CONTEXT).to_payload()
    encoded = await codec.encode([large])
    with pytest.raises(OffloadingNotConfiguredError, match="wf-1"):
        await OffloadingCodec(PayloadEncoder()).decode(encoded)
    with pytest.raises(PayloadDecodeError, match="still encoded"):
        read_value(encoded[0])


@pytest.mark.parametrize("options", [b"offloaded, encrypted", b"rot13", b",", b"\xff"])
async def test_options_that_cannot_be_undone(options: bytes) -> None:
    payload = ContextPayload(b"1", CONTEXT).to_payload()
    payload.metadata["encoding_options"] = options
    with pytest.raises(PayloadDecodeError):
        await OffloadingCodec(PayloadEncoder()).decode([payload])


@pytest.mark.parametrize(
    ("hint", "expected"),
    [
        (None, None),
        (Any, None),
        (object, None),
        (type(None), None),
        (Defaults | None, None),
        (Defaults, Defaults()),
        (dict, {}),
    ],
)
def test_null(hint: Any, expected: Any) -> None:
    converter = data_converter().payload_converter
    for empty in (False, True):
        payload = converter.to_payload(ContextValue(None, CONTEXT, empty=empty))
        assert converter.from_payload(payload, hint) == expected


def test_null_for_a_type_that_has_no_null() -> None:
    payload = data_converter().payload_converter.to_payload(ContextValue(None, CONTEXT))
    for hint in (str, int, list[int]):
        with pytest.raises(PayloadDecodeError):
            read_value(payload, hint)


def test_an_unhashable_hint() -> None:
    from typing import Annotated, Literal

    payload = data_converter().payload_converter.to_payload(ContextValue("a", CONTEXT))
    assert read_value(payload, Annotated[Literal["a"], ["unhashable"]]) == "a"


def test_a_value_without_a_json_form() -> None:
    with pytest.raises(PayloadSerializationError):
        data_converter().payload_converter.to_payload(ContextValue(object(), CONTEXT))


def test_a_context_hides_its_token() -> None:
    assert "tok" not in repr(ContextValue(1, CONTEXT))
