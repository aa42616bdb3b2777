"""Payloads that need nothing: a worker hands them on without tasks, copies or new converters."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    DefaultPayloadConverter,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadingCodec, OffloadPlugin
from mistral_offload.temporal.worker_client import worker_client
from tests.temporal.own_codecs import EncryptingCodec
from tests.temporal.plain_worker import encoder_for

OWNER = WorkflowSerializationContext(namespace="n", workflow_id="w")
PLAIN = [
    Payload(metadata={"encoding": b"json/plain"}, data=b'"%s"' % (b"x" * 20_000)),
    Payload(metadata={"encoding": b"binary/null"}),
    Payload(metadata={"encoding": b"binary/plain"}, data=b"\0"),
]


def activity_context(number: int) -> ActivitySerializationContext:
    return ActivitySerializationContext(
        namespace="n",
        workflow_id="w",
        workflow_type="W",
        activity_type="a",
        activity_id=str(number),
        activity_task_queue="q",
        is_local=False,
    )


async def made_tasks(codec: PayloadCodec, payloads: Sequence[Payload]) -> tuple[list[Any], int]:
    """Encode and decode, and return the payloads and the number of tasks made meanwhile."""
    made: list[asyncio.Task[Any]] = []

    def make(loop: asyncio.AbstractEventLoop, work: Any, **options: Any) -> asyncio.Task[Any]:
        made.append(asyncio.Task(work, loop=loop, **options))
        return made[-1]

    loop = asyncio.get_running_loop()
    loop.set_task_factory(make)
    try:
        return await codec.decode(await codec.encode(payloads)), len(made)
    finally:
        loop.set_task_factory(None)


async def test_payloads_that_need_nothing_need_no_task() -> None:
    store = MemoryStore()
    codec = OffloadingCodec(encoder_for(store)).with_context(OWNER)
    found, tasks = await made_tasks(codec, PLAIN)
    assert all(each is given for each, given in zip(found, PLAIN, strict=True))
    assert (tasks, dict(store.requests)) == (0, {})
    large = Payload(metadata={"encoding": b"json/plain"}, data=b'"%s"' % (b"x" * 3_000_000))
    found, tasks = await made_tasks(codec, [*PLAIN, large])  # is found and treated among them
    assert found[-1] == large
    assert len(store.requests) == 1


class OwnConverter(PydanticPayloadConverter, WithSerializationContext):
    """An application's converter, which looks at its context."""

    def with_context(self, context: SerializationContext) -> OwnConverter:
        return OwnConverter()


async def worker_converter_of(given: DataConverter) -> DataConverter:
    plugin = OffloadPlugin(encoder=PayloadEncoder())
    client = await Client.connect("127.0.0.1:1", lazy=True, data_converter=given, plugins=[plugin])
    return worker_client(client).data_converter


@pytest.mark.parametrize(
    ("given", "keeps"),
    [
        (pydantic_data_converter, True),
        (DataConverter(payload_converter_class=DefaultPayloadConverter), True),
        (DataConverter(payload_converter_class=OwnConverter), False),
        (DataConverter(payload_codec=EncryptingCodec()), False),
    ],
)
async def test_copies_for_a_context_are_kept_if_all_their_parts_are_ours(
    given: DataConverter, keeps: bool
) -> None:
    converter = await worker_converter_of(given)
    first = converter.with_context(activity_context(1))
    assert (converter.with_context(activity_context(1)) is first) is keeps
    other = converter.with_context(activity_context(2))
    assert other is not first
    assert other.payload_codec is not first.payload_codec
    [value] = await other.decode(await other.encode([{"a": 1}]), [dict])
    assert value == {"a": 1}


async def test_the_kept_copies_are_bounded() -> None:
    converter = await worker_converter_of(pydantic_data_converter)
    for number in range(1000):
        converter.with_context(activity_context(number))
    assert len(vars(converter)["_copies"]) <= 256
