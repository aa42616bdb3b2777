"""JSON of incoming payloads, parsed before a workflow's thread needs it.

The codec parses large texts, arrays and objects in another thread and marks their payloads; the
converter takes the value and only validates it. A value is handed out once, and dropped with the
asyncio task that decoded its payload. Without it the converter reads the payload's data as ever.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import Any
from uuid import uuid4
from weakref import WeakKeyDictionary, WeakValueDictionary

from pydantic_core import from_json
from temporalio.api.common.v1 import Payload

from mistral_offload._cpu_threads import run_in_cpu_thread_async
from mistral_offload.temporal.wire.context_payloads import carries_context, has_metadata_form

PARSED_FROM_BYTES = 256 * 1024
"""Smaller payloads are parsed where they are read: another thread would cost more than it saves."""

_LARGE_KINDS = (b'"', b"[", b"{")
"""First bytes of the JSON that can be large: texts, arrays and objects."""

_MARK = "__offload_parsed"
"""Metadata key of a mark: a random name, so that a mark that was sent on means nothing."""


@dataclass(eq=False)
class ParsedValue:
    """The JSON of a payload.

    Attributes:
        value: the value; nothing else refers to it.
        source: the kind of payload, for `note_unused`.
    """

    value: Any
    source: str | None


_lock = threading.Lock()
_parsed: WeakValueDictionary[bytes, ParsedValue] = WeakValueDictionary()
_of_tasks: WeakKeyDictionary[asyncio.Task[Any], list[ParsedValue]] = WeakKeyDictionary()
_unused: set[str | None] = set()


def is_large(payload: Payload) -> bool:
    """Return True if a payload has the size from which its data is parsed ahead."""
    return payload.ByteSize() >= PARSED_FROM_BYTES


async def parse_ahead(payload: Payload, source: str | None) -> Payload:
    """Return a decoded payload marked as parsed, if it is large and its data is useful that way.

    Args:
        payload: the payload.
        source: the kind of payload, such as the type of the activity whose result it is.
    """
    task = asyncio.current_task()
    if task is None or source in _unused or not is_large(payload):
        return payload
    is_json = (
        has_metadata_form(payload)
        if carries_context(payload)
        else payload.metadata.get("encoding") == b"json/plain"
    )
    data = payload.data
    if not is_json or data[:1] not in _LARGE_KINDS:
        return payload
    try:
        value = await run_in_cpu_thread_async(lambda: from_json(data))
    except ValueError:  # its reader raises the right error
        return payload
    mark = uuid4().bytes
    parsed = ParsedValue(value, source)
    with _lock:
        _parsed[mark] = parsed
    _of_tasks.setdefault(task, []).append(parsed)
    return Payload(metadata={**payload.metadata, _MARK: mark}, data=data)


def take_parsed(payload: Payload) -> ParsedValue | None:
    """Return the parsed value of a payload, and forget it; None if there is none."""
    mark = payload.metadata.get(_MARK)
    if not mark:
        return None
    with _lock:
        found = _parsed.pop(mark, None)
    if found is None:
        return None
    taken = ParsedValue(found.value, found.source)
    found.value = None  # so that the task does not keep it
    return taken


def note_unused(parsed: ParsedValue) -> None:
    """Record that values of a source are of types that have to be read from text."""
    _unused.add(parsed.source)


def without_parsed(payload: Payload) -> Payload:
    """Return a payload without its mark, for code that reads the data; it need not be parsed."""
    if _MARK not in payload.metadata:
        return payload
    parsed = take_parsed(payload)
    if parsed is not None:
        note_unused(parsed)
    metadata = {key: value for key, value in payload.metadata.items() if key != _MARK}
    return Payload(metadata=metadata, data=payload.data)
