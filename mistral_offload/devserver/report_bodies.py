"""Bodies of workers' reports: registrations of runs, and events."""

from __future__ import annotations

import re
from typing import Annotated, cast

from pydantic import Field

from mistral_offload.devserver.jsontext import Number, Scanned, on_one_line, scan_elements
from mistral_offload.devserver.refusals import Refusal, invalid
from mistral_offload.devserver.reported_events import EventReport
from mistral_offload.devserver.request_bodies import Body, read_members, scan_body

_MOST_EVENTS = 1000
_DIGITS = re.compile(r"[0-9]{1,9}")
# Ids and types become lines of a stream.
_Name = Annotated[str, Field(max_length=1000, pattern=r"^[^\x00\r\n]+$")]


class RunBody(Body):
    """A run that a worker announces."""

    temporal_workflow_id: _Name
    temporal_run_id: _Name
    workflow_name: _Name
    task_queue: _Name
    execution_token_hash: _Name
    temporal_parent_workflow_id: str | None = None
    temporal_root_workflow_id: str | None = None
    search_key_metadata: dict[str, str | None] = Field(default_factory=dict)


class RouteTokenBody(Body):
    """A request for a token with which the events of a run are sent."""

    workflow_exec_id: _Name
    workflow_run_id: _Name
    execution_token: str | None = None


class SearchKeysBody(Body):
    """Search keys to set on a run."""

    temporal_run_id: _Name
    search_key_metadata: dict[str, str | None]


class SearchKeysRemovalBody(Body):
    """Search keys to remove from a run."""

    temporal_run_id: _Name
    keys: list[str]


class _EventHead(Body):
    """The members of an event that select it; the others are passed on as they are."""

    event_id: _Name
    event_timestamp: int
    event_type: _Name
    root_workflow_exec_id: _Name
    parent_workflow_exec_id: str | None = None
    workflow_exec_id: _Name
    workflow_run_id: _Name
    workflow_name: _Name


def read_event(raw: bytes) -> list[EventReport]:
    """Parse the body ``{"event": …}``.

    Raises:
        Refusal: it is not JSON, or a member is missing or has the wrong type (422).
    """
    return [_read(_member(raw, "event"))]


def read_events(raw: bytes) -> list[EventReport]:
    """Parse the body ``{"events": […]}``.

    Raises:
        Refusal: as `read_event`; also if there are too many events (413).
    """
    text = _member(raw, "events").text
    try:
        events = scan_elements(text, most=_MOST_EVENTS)
    except OverflowError:
        raise Refusal(413, f"more than {_MOST_EVENTS:,} events in one request") from None
    except ValueError as error:
        raise invalid(("body", "events"), "Input should be a valid list", "list_type") from error
    return [_read(each) for each in events]


def _member(raw: bytes, name: str) -> Scanned:
    member = scan_body(raw).get(name)
    if member is None:
        raise invalid(("body", name), "Field required", "missing")
    return member


def _read(event: Scanned) -> EventReport:
    members = _object(event.value, "event")
    attributes = _object(members.get("attributes"), "event", "attributes")
    head = read_members(_EventHead, {name: _converted(value) for name, value in members.items()})
    is_activity = head.event_type.startswith("ACTIVITY_")
    return EventReport(
        event_id=head.event_id,
        event_type=head.event_type,
        timestamp_ns=head.event_timestamp,
        workflow_name=head.workflow_name,
        execution_id=head.workflow_exec_id,
        run_id=head.workflow_run_id,
        root_execution_id=head.root_workflow_exec_id,
        parent_execution_id=head.parent_workflow_exec_id,
        activity_name=_text(attributes.get("activity_name")) if is_activity else None,
        activity_id=_text(attributes.get("task_id")) if is_activity else None,
        attempt=_number(attributes.get("attempt")) if is_activity else None,
        text=on_one_line(event.text),
    )


def _object(value: object, *place: str) -> dict[str, object]:
    if not isinstance(value, dict):
        loc = ("body", *place)
        raise invalid(loc, "Input should be a valid dictionary", "dict_type")
    return cast("dict[str, object]", value)


def _converted(value: object) -> object:
    """Return a number as Python's; one that is no integer Python converts is a float."""
    if not isinstance(value, Number):
        return value
    try:
        return int(value)
    except ValueError:
        return float(value)


def _text(value: object) -> str | None:
    return value if isinstance(value, str) and not isinstance(value, Number) else None


def _number(value: object) -> int | None:
    return int(value) if isinstance(value, Number) and _DIGITS.fullmatch(value) else None
