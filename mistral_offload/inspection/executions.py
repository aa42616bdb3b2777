"""All payloads of an execution looked at, without reading a blob: one request for each of them."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from mistral_offload.errors import ConfigurationError, MistralOffloadError
from mistral_offload.inspection.events import EventPayload, payloads_of
from mistral_offload.inspection.fields import find_fields
from mistral_offload.inspection.findings import Finding, Sighting
from mistral_offload.inspection.history import History
from mistral_offload.inspection.inspector import Inspector
from mistral_offload.inspection.keys import BlobKey
from mistral_offload.inspection.payloads import carried_by
from mistral_offload.payload.encoded_payload import EncodingOption

_SHOWN_EVENTS = 20


@dataclass(frozen=True, slots=True)
class PayloadRow:
    """What is known of a payload without reading its blob.

    Attributes:
        source: where it stands in the history.
        size: of what the history holds, in bytes.
        options: the transforms that are recorded, first applied first.
        decoded_size: of the value in bytes, where it is known.
        keys: of its blobs: the payload's, or those of the activity fields that it refers to.
        errors: what is wrong, blobs apart.
        sightings: what the stores say of the blobs.
    """

    source: EventPayload
    size: int
    options: tuple[str, ...] = ()
    decoded_size: int | None = None
    keys: tuple[BlobKey, ...] = ()
    errors: tuple[MistralOffloadError, ...] = ()
    sightings: tuple[Sighting, ...] = ()

    @property
    def is_offloaded(self) -> bool:
        """Whether the payload itself is in a store, or was meant to be."""
        return EncodingOption.OFFLOADED.value in self.options


@dataclass(frozen=True, slots=True)
class ExecutionReport:
    """An execution, and a row for each of its payloads."""

    history: History
    rows: tuple[PayloadRow, ...]

    @property
    def blobs(self) -> list[Sighting]:
        """Each blob that the payloads refer to, once."""
        return list({each.key: each for row in self.rows for each in row.sightings}.values())

    @property
    def errors(self) -> tuple[MistralOffloadError, ...]:
        """All that is wrong, each blob once."""
        blobs = (each.error for each in self.blobs if each.error is not None)
        return (*(error for row in self.rows for error in row.errors), *blobs)


async def look_at_execution(
    inspector: Inspector, history: History, *, advance: Callable[[int], None] | None = None
) -> ExecutionReport:
    """Look at every payload; one request for each distinct blob, some at a time.

    Args:
        inspector: what looks.
        history: of the execution.
        advance: told of each blob that has been looked for.
    """
    rows = await asyncio.to_thread(_read_rows, inspector, history)
    seen = await inspector.sight((key for row in rows for key in row.keys), advance=advance)
    sighted = [replace(row, sightings=tuple(seen[key] for key in row.keys)) for row in rows]
    return ExecutionReport(history, tuple(sighted))


async def look_at_event(
    inspector: Inspector, history: History, event_id: int, number: int | None = None
) -> list[tuple[EventPayload, Finding]]:
    """Read and decode the payloads of one event.

    Args:
        inspector: what looks.
        history: of the execution.
        event_id: of the event.
        number: only this one of its payloads, counted from 1.

    Raises:
        ConfigurationError: there is no such event, or it has no such payload.
        StorageError: a store cannot be asked.
    """
    sources = [each for each in payloads_of(history.events) if each.event_id == event_id]
    if not sources:
        raise ConfigurationError(_no_payloads(history, event_id))
    if number is not None:
        if number > len(sources):
            raise ConfigurationError(f"event {event_id} has {len(sources)} payloads, no {number}th")
        sources = [sources[number - 1]]
    return [(source, await _look_at(inspector, history, source)) for source in sources]


async def _look_at(inspector: Inspector, history: History, source: EventPayload) -> Finding:
    try:
        carried = carried_by(source.payload)
    except MistralOffloadError as error:
        return Finding(stored=source.payload.data, errors=(error,))
    return await inspector.look_at(carried, namespace=history.namespace)


def _read_rows(inspector: Inspector, history: History) -> list[PayloadRow]:
    return [_read_row(inspector, history, source) for source in payloads_of(history.events)]


def _read_row(inspector: Inspector, history: History, source: EventPayload) -> PayloadRow:
    row = PayloadRow(source, len(source.payload.data))
    try:
        carried = carried_by(source.payload)
    except MistralOffloadError as error:
        return replace(row, errors=(error,))
    unwrapped = inspector.unwrap(carried, history.namespace)
    row = replace(
        row,
        options=tuple(option.value for option in carried.encoded.options),
        decoded_size=carried.told_size,
        errors=() if unwrapped.error is None else (unwrapped.error,),
    )
    if unwrapped.key is not None:
        return replace(row, keys=(unwrapped.key,))
    if unwrapped.error is not None:
        return row
    data = unwrapped.undone.data
    keys, errors = find_fields(data)
    return replace(row, decoded_size=len(data), keys=tuple(keys), errors=tuple(errors))


def _no_payloads(history: History, event_id: int) -> str:
    ids = list(dict.fromkeys(source.event_id for source in payloads_of(history.events)))
    if not 1 <= event_id <= len(history.events):
        what = f"has no event {event_id}; its last is {len(history.events)}"
    else:
        what = f"has no payload in event {event_id}"
    known = ", ".join(map(str, ids[:_SHOWN_EVENTS])) + ("…" if len(ids) > _SHOWN_EVENTS else "")
    return f"execution {history.execution_id!r} {what}. Events with payloads: {known or 'none'}"
