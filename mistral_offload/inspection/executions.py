"""Inspection of all payloads of an execution, without reading blobs: one request for each blob."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace

from mistral_offload.errors import ConfigurationError, MistralOffloadError
from mistral_offload.inspection.events import EventPayload, payloads_of
from mistral_offload.inspection.findings import BlobStatus, Finding
from mistral_offload.inspection.history import History
from mistral_offload.inspection.inspector import Inspector
from mistral_offload.inspection.keys import BlobKey
from mistral_offload.inspection.payloads import find_fields, read_content
from mistral_offload.payload.encoded_payload import EncodingOption

_SHOWN_EVENTS = 20


@dataclass(frozen=True, slots=True)
class PayloadRow:
    """A payload of a history, described without reading its blob.

    Attributes:
        source: the payload and its position in the history.
        size: bytes stored in the history.
        options: the recorded transforms, first applied first.
        decoded_size: bytes of the decoded value, if known.
        keys: keys of its blobs: the payload's own, or those of the activity fields it refers to.
        errors: problems found, except those of blobs.
        blobs: the status of each blob.
    """

    source: EventPayload
    size: int
    options: tuple[str, ...] = ()
    decoded_size: int | None = None
    keys: tuple[BlobKey, ...] = ()
    errors: tuple[MistralOffloadError, ...] = ()
    blobs: tuple[BlobStatus, ...] = ()

    @property
    def is_offloaded(self) -> bool:
        """True if the payload itself was offloaded to a store."""
        return EncodingOption.OFFLOADED.value in self.options


@dataclass(frozen=True, slots=True)
class ExecutionReport:
    """The history of an execution, with a row for each of its payloads."""

    history: History
    rows: tuple[PayloadRow, ...]

    @property
    def blobs(self) -> list[BlobStatus]:
        """The status of each distinct blob that the payloads refer to."""
        return list({each.key: each for row in self.rows for each in row.blobs}.values())

    @property
    def errors(self) -> tuple[MistralOffloadError, ...]:
        """All problems found; those of a blob are listed once."""
        blobs = (each.error for each in self.blobs if each.error is not None)
        return (*(error for row in self.rows for error in row.errors), *blobs)


async def inspect_execution(
    inspector: Inspector, history: History, *, advance: Callable[[int], None] | None = None
) -> ExecutionReport:
    """Inspect every payload of an execution; sends one request for each distinct blob.

    Args:
        inspector: the stores and keys to use.
        history: the execution's.
        advance: called with 1 for each blob checked.
    """
    rows = await asyncio.to_thread(_read_rows, inspector, history)
    found = await inspector.check_blobs((key for row in rows for key in row.keys), advance=advance)
    checked = [replace(row, blobs=tuple(found[key] for key in row.keys)) for row in rows]
    return ExecutionReport(history, tuple(checked))


async def inspect_event(
    inspector: Inspector, history: History, event_id: int, number: int | None = None
) -> list[tuple[EventPayload, Finding]]:
    """Read and decode the payloads of one event.

    Args:
        inspector: the stores and keys to use.
        history: the execution's.
        event_id: the event's.
        number: the only payload of the event to read, counted from 1; None for all.

    Raises:
        ConfigurationError: there is no such event, or it has no such payload.
        StorageError: a store cannot be reached.
    """
    sources = [each for each in payloads_of(history.events) if each.event_id == event_id]
    if not sources:
        raise ConfigurationError(_explain_no_payloads(history, event_id))
    if number is not None:
        if number > len(sources):
            raise ConfigurationError(
                f"event {event_id} has {len(sources)} payloads: there is no payload {number}"
            )
        sources = [sources[number - 1]]
    return [(source, await _inspect_payload(inspector, history, source)) for source in sources]


async def _inspect_payload(inspector: Inspector, history: History, source: EventPayload) -> Finding:
    try:
        content = read_content(source.payload)
    except MistralOffloadError as error:
        return Finding(stored=source.payload.data, errors=(error,))
    return await inspector.inspect(content, namespace=history.namespace)


def _read_rows(inspector: Inspector, history: History) -> list[PayloadRow]:
    return [_read_row(inspector, history, source) for source in payloads_of(history.events)]


def _read_row(inspector: Inspector, history: History, source: EventPayload) -> PayloadRow:
    row = PayloadRow(source, len(source.payload.data))
    try:
        content = read_content(source.payload)
    except MistralOffloadError as error:
        return replace(row, errors=(error,))
    unwrapped = inspector.unwrap(content, history.namespace)
    row = replace(
        row,
        options=tuple(option.value for option in content.encoded.options),
        decoded_size=content.recorded_size,
        errors=() if unwrapped.error is None else (unwrapped.error,),
    )
    if unwrapped.key is not None:
        return replace(row, keys=(unwrapped.key,))
    if unwrapped.error is not None:
        return row
    data = unwrapped.decoded.data
    keys, errors = find_fields(data)
    return replace(row, decoded_size=len(data), keys=tuple(keys), errors=tuple(errors))


def _explain_no_payloads(history: History, event_id: int) -> str:
    ids = list(dict.fromkeys(source.event_id for source in payloads_of(history.events)))
    if not 1 <= event_id <= len(history.events):
        problem = f"has no event {event_id}; its last is {len(history.events)}"
    else:
        problem = f"has no payload in event {event_id}"
    known = ", ".join(map(str, ids[:_SHOWN_EVENTS])) + ("…" if len(ids) > _SHOWN_EVENTS else "")
    return f"execution {history.execution_id!r} {problem}. Events with payloads: {known or 'none'}"
