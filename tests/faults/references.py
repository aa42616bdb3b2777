"""Finds the blobs that the histories of executions refer to."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from typing import Any

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload
from temporalio.client import Client

from mistral_offload import PayloadEncryptionConfig, PayloadOffloadingConfig
from mistral_offload.errors import BlobNotFoundError
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadingCodec
from tests.bounds import Threads
from tests.faults.stack import ENCRYPTION

_PATIENCE_SECONDS = 120.0  # of hundreds of executions


def referenced_keys(
    address: str,
    namespace: str,
    offloading: PayloadOffloadingConfig,
    *,
    execution_ids: Iterable[str],
) -> set[str]:
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
) -> set[str]:
    # An empty store, which records the keys that a payload refers to.
    store = MemoryStore()
    encoder = PayloadEncoder(
        offloading, encryption=PayloadEncryptionConfig(**ENCRYPTION), store=store
    )
    codec = OffloadingCodec(encoder)
    client = await Client.connect(address, namespace=namespace)
    fields: set[str] = set()
    for execution_id in execution_ids:
        handle = client.get_workflow_handle(execution_id)
        async for event in handle.fetch_history_events():
            for payload in _payloads(event):
                with suppress(BlobNotFoundError):
                    (decoded,) = await codec.decode([payload])
                    fields.update(_field_keys(_json_in(decoded)))
    return {key for operation, key in store.requests if operation == "get"} | fields


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
    for field, value in message.ListFields():
        if field.message_type is None:
            continue
        if field.message_type.GetOptions().map_entry:
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
