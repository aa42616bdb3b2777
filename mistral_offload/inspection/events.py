"""The payloads in the events of a history, labelled with their event and role. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from google.protobuf.message import Message
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.enums.v1 import EventType
from temporalio.api.history.v1 import HistoryEvent

_NEVER_ENCODED = ("header", "search_attributes")


@dataclass(frozen=True, slots=True)
class EventPayload:
    """A payload of an event.

    Attributes:
        event_id: the event's id.
        event_type: such as ``ActivityTaskCompleted``.
        at: the time of the event.
        name: the activity, workflow, signal or update that the event concerns; empty if none.
        part: the payload's role in the event, such as ``input``, ``result`` or ``details[1]``.
        payload: the payload as stored.
    """

    event_id: int
    event_type: str
    at: datetime
    name: str
    part: str
    payload: Payload


def payloads_of(events: Iterable[HistoryEvent]) -> Iterator[EventPayload]:
    """Yield the payloads of events, in order."""
    names: dict[int, str] = {}
    for event in events:
        kind = event.WhichOneof("attributes")
        if kind is None:
            continue
        attributes: Any = getattr(event, kind)
        names[event.event_id] = name = _name(attributes, names)
        at = event.event_time.ToDatetime(timezone.utc)
        for part, payload in payloads_in(attributes):
            yield EventPayload(event.event_id, _type(event), at, name, part, payload)


def _type(event: HistoryEvent) -> str:
    words = EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").split("_")
    return "".join(word.capitalize() for word in words)


def _name(attributes: Any, names: Mapping[int, str]) -> str:
    """Return the name an event concerns, taken from an earlier event where it only refers to one.

    Args:
        attributes: the event's.
        names: the names of the earlier events, by event id.
    """
    for member in ("signal_name", "marker_name"):
        if getattr(attributes, member, ""):
            return str(getattr(attributes, member))
    for member in ("activity_type", "workflow_type"):
        if hasattr(attributes, member):
            return str(getattr(attributes, member).name)
    if hasattr(attributes, "accepted_request"):  # an update
        return str(attributes.accepted_request.input.name)
    for member in ("scheduled_event_id", "accepted_event_id"):
        if hasattr(attributes, member):
            return names.get(getattr(attributes, member), "")
    return ""


def payloads_in(message: Message, path: str = "") -> Iterator[tuple[str, Payload]]:
    """Yield the payloads anywhere in a message, each with its path below ``path``."""
    for field, value in message.ListFields():
        if field.name in _NEVER_ENCODED:
            continue
        below = f"{path}.{field.name}" if path else field.name
        for name, each in _messages(below, value):
            if isinstance(each, Payload):
                yield name, each
            elif isinstance(each, Payloads):
                several = len(each.payloads) > 1
                for number, payload in enumerate(each.payloads):
                    yield f"{name}[{number}]" if several else name, payload
            else:
                yield from payloads_in(each, name)


def _messages(name: str, value: Any) -> Iterator[tuple[str, Message]]:
    """Yield the messages that a member of a message holds: one, or those of a map or a list."""
    if isinstance(value, Message):
        yield name, value
    elif hasattr(value, "items"):
        for key in sorted(value):
            if isinstance(value[key], Message):
                yield f"{name}.{key}", value[key]
    elif not isinstance(value, (str, bytes)) and hasattr(value, "__iter__"):
        for number, each in enumerate(value):
            if isinstance(each, Message):
                yield f"{name}[{number}]", each
