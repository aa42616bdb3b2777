"""Finds the blobs that the histories of executions refer to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from mistral_offload import PayloadEncryptionConfig, PayloadOffloadingConfig
from mistral_offload.errors import BlobNotFoundError
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadingCodec
from tests.bounds import Threads
from tests.faults.stack import ENCRYPTION

_PATIENCE_SECONDS = 120.0  # of hundreds of executions


@dataclass
class References:
    """Keys of blobs that histories refer to.

    Attributes:
        values: of payloads and fields that an execution needs, and its own failure.
        reasons: of failures of single attempts, which are only shown. The worker whose attempt
            failed has stored them, also if its store is a wrong one.
    """

    values: set[str]
    reasons: set[str]


def referenced_keys(
    address: str,
    namespace: str,
    offloading: PayloadOffloadingConfig,
    *,
    execution_ids: Iterable[str],
) -> References:
    """Return the keys of payloads and fields that the histories of executions refer to."""
    # In a separate thread, so that tests with and without an event loop can call it.
    with Threads() as threads:
        work = _referenced_keys(address, namespace, offloading, execution_ids)
        return threads.submit(asyncio.run, work).result(_PATIENCE_SECONDS)


async def _referenced_keys(
    address: str,
    namespace: str,
    offloading: PayloadOffloadingConfig,
    execution_ids: Iterable[str],
) -> References:
    values, reasons = _Reader(offloading), _Reader(offloading)
    client = await Client.connect(address, namespace=namespace)
    for execution_id in execution_ids:
        handle = client.get_workflow_handle(execution_id)
        async for event in handle.fetch_history_events():
            await reasons.read(_take_reason(event))
            await values.read(event)
    return References(values.keys(), reasons.keys())


class _Reader:
    """Collects the keys that payloads refer to."""

    def __init__(self, offloading: PayloadOffloadingConfig) -> None:
        # An empty store, which records the keys that a payload refers to.
        self._store = MemoryStore()
        encoder = PayloadEncoder(
            offloading, encryption=PayloadEncryptionConfig(**ENCRYPTION), store=self._store
        )
        self._codec = OffloadingCodec(encoder)
        self._fields: set[str] = set()

    async def read(self, message: Message) -> None:
        for payload in _payloads(message):
            with suppress(BlobNotFoundError):
                (decoded,) = await self._codec.decode([payload])
                self._fields.update(_field_keys(_json_in(decoded)))

    def keys(self) -> set[str]:
        return {key for operation, key in self._store.requests if operation == "get"} | self._fields


def _take_reason(event: HistoryEvent) -> Failure:
    """Remove the failure of a single attempt from an event, and return it."""
    reason = Failure()
    for holder, name in (
        (event.workflow_task_failed_event_attributes, "failure"),
        (event.activity_task_started_event_attributes, "last_failure"),
    ):
        if holder.HasField(name):
            reason.CopyFrom(getattr(holder, name))
            holder.ClearField(name)
    return reason


def _json_in(payload: Payload) -> Any:
    try:
        return json.loads(payload.data)
    except ValueError:
        return None


def _payloads(message: Message) -> Iterator[Payload]:
    """Yield the payloads anywhere in a message."""
    if isinstance(message, Payload):
        yield message
        return
    for member, value in message.ListFields():
        if member.message_type is None:
            continue
        if member.message_type.GetOptions().map_entry:
            children = [value[key] for key in value]
        elif isinstance(value, Message):
            children = [value]
        else:
            children = list(value)
        for child in children:
            if isinstance(child, Message):
                yield from _payloads(child)


def _field_keys(value: Any) -> Iterator[str]:
    """Yield the keys of fields anywhere in a value."""
    if isinstance(value, dict):
        if isinstance(key := value.get("blob_ref"), str):
            yield key
        for child in value.values():
            yield from _field_keys(child)
    elif isinstance(value, list):
        for child in value:
            yield from _field_keys(child)
