"""The blobs of one execution, read from its history."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from temporalio.client import Client

from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.inspection.events import EventPayload, payloads_of
from mistral_offload.inspection.history import read_history
from mistral_offload.inspection.inspector import Inspector
from mistral_offload.inspection.keys import BlobKey
from mistral_offload.inspection.payloads import find_fields, read_content
from mistral_offload.storage.memory import MemoryStore


@dataclass(frozen=True)
class OffloadedBlob:
    """A value, or an activity field in one, that an execution's history only refers to.

    Attributes:
        event: the event's type, such as ``ActivityTaskCompleted``.
        name: the activity, workflow, signal or update that the event concerns; empty if none.
        part: the role of the value in the event, such as ``input`` or ``result``.
        key: the key of the blob; `MemoryStore.lose` and `MemoryStore.truncate` take it.
        size: its size in bytes; None if it is not stored any more.
        is_field: True for an activity field, False for a whole value.
    """

    event: str
    name: str
    part: str
    key: str
    size: int | None
    is_field: bool


async def read_offloaded(
    client: Client, execution_id: str, settings: WorkerSettings, store: MemoryStore
) -> list[OffloadedBlob]:
    """Return the blobs that the history of an execution's latest run refers to, in its order.

    Args:
        client: of the execution's namespace.
        execution_id: the execution's.
        settings: the worker's, for the keys of encryption.
        store: the store of the blobs; its requests are not counted.

    Raises:
        ExecutionNotFoundError: Temporal does not know the execution.
        MistralOffloadError: a payload cannot be read with these settings.
    """
    history = await read_history(client, execution_id)
    inspector, sizes = Inspector(settings), store.sizes
    found: list[OffloadedBlob] = []
    for source in payloads_of(history.events):
        for key in _keys(inspector, source, history.namespace):
            size = sizes.get(key.text)
            found.append(
                OffloadedBlob(
                    source.event_type, source.name, source.part, key.text, size, key.is_field
                )
            )
    return found


def _keys(inspector: Inspector, source: EventPayload, namespace: str) -> Iterator[BlobKey]:
    unwrapped = inspector.unwrap(read_content(source.payload), namespace)
    if unwrapped.error is not None:
        raise unwrapped.error
    if unwrapped.key is not None:
        yield unwrapped.key
        return
    keys, errors = find_fields(unwrapped.decoded.data)
    if errors:
        raise errors[0]
    yield from keys
