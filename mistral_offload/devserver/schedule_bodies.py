"""Requests about schedules, validated strictly."""

from __future__ import annotations

import json
import re
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, BeforeValidator, Field, TypeAdapter

from mistral_offload.devserver.request_bodies import Body, read_body, split_body
from mistral_offload.devserver.workflow_inputs import Input, handler_input

BodyT = TypeVar("BodyT", bound="_ScheduleRequest")

_ISO = TypeAdapter(timedelta)
_CLOCK = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_LONGEST = timedelta(days=36_500)
_SECONDS = {"ms": 0.001, "s": 1, "m": 60, "h": 3600, "d": 86400}


def _duration(value: Any) -> Any:
    """Parse a duration: ``30m``, ``1h30m``, or a form that pydantic accepts, such as ``PT30M``."""
    if not isinstance(value, str):
        raise ValueError("a duration must be a string such as 30m or PT30M")
    if not re.fullmatch(f"(?:{_CLOCK.pattern})+", value):
        return _ISO.validate_strings(value)
    seconds = sum(float(count) * _SECONDS[unit] for count, unit in _CLOCK.findall(value))
    return timedelta(seconds=min(seconds, 2 * _LONGEST.total_seconds()))


def format_duration(duration: timedelta) -> str:
    """Format a duration as in ISO 8601."""
    text: str = _ISO.dump_python(duration, mode="json")
    return text


Duration = Annotated[timedelta, Field(ge=timedelta(0), le=_LONGEST), BeforeValidator(_duration)]
PositiveDuration = Annotated[
    timedelta, Field(gt=timedelta(0), le=_LONGEST), BeforeValidator(_duration)
]
Value = Annotated[int, Field(ge=0, le=9999)]
Overlap = Annotated[int, Field(ge=1, le=6)]
ScheduleId = Annotated[str, Field(pattern=r"^[^/\x00-\x1f]{1,256}$")]


class RangeBody(Body):
    """The values from ``start`` to ``end`` in steps of ``step``."""

    start: Value
    end: Value = 0
    step: Value = 0


class CalendarBody(Body):
    """Times given by calendar fields."""

    second: list[RangeBody] | None = None
    minute: list[RangeBody] | None = None
    hour: list[RangeBody] | None = None
    day_of_month: list[RangeBody] | None = None
    month: list[RangeBody] | None = None
    year: list[RangeBody] | None = None
    day_of_week: list[RangeBody] | None = None
    comment: str | None = None


class IntervalBody(Body):
    """Times at a fixed interval."""

    every: PositiveDuration
    offset: Duration | None = None


class PolicyBody(Body):
    """The policy for executions that overlap, fail or were missed."""

    catchup_window_seconds: Annotated[int, Field(ge=0, le=10**9)] = 31_536_000
    overlap: Overlap | None = None
    pause_on_failure: bool = False


class ScheduleBody(Body):
    """``PartialScheduleDefinition`` without its ``input``; null is the same as no value."""

    calendars: list[CalendarBody] | None = None
    intervals: list[IntervalBody] | None = None
    cron_expressions: list[str] | None = None
    skip: list[CalendarBody] | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    jitter: Duration | None = None
    time_zone_name: str | None = None
    policy: PolicyBody | None = None
    max_executions: Annotated[int, Field(ge=1, lt=2**63)] | None = None
    schedule_id: ScheduleId | None = None


class _ScheduleRequest(Body):
    schedule: ScheduleBody


class CreateScheduleBody(_ScheduleRequest):
    """``WorkflowScheduleRequest``."""

    workflow_registration_id: str | None = None
    workflow_version_id: str | None = None
    workflow_identifier: str | None = None
    workflow_task_queue: str | None = None
    schedule_id: ScheduleId | None = None
    deployment_name: str | None = None


class UpdateScheduleBody(_ScheduleRequest):
    """``WorkflowScheduleUpdateRequest``."""


class PauseBody(Body):
    """``WorkflowSchedulePauseRequest``."""

    note: str | None = None


class TriggerBody(Body):
    """``WorkflowScheduleTriggerRequest``."""

    overlap: Overlap | None = None


class SchedulesQuery(BaseModel):
    """Selects the schedules to list."""

    workflow_name: str | None = None
    user_id: str | None = None
    status: Literal["active", "paused"] | None = None
    search: str | None = None
    page_size: Annotated[int, Field(ge=1, le=1000)] = 50
    next_page_token: str | None = None


def read_schedule(model: type[BodyT], raw: bytes) -> tuple[BodyT, Input | None]:
    """Parse a body, and return it with the input of its schedule; None if it has no such member.

    Raises:
        Refusal: it is not JSON, or a member is missing or has the wrong type (422).
    """
    members = split_body(raw)
    given: str | None = None
    if members.get("schedule", "").startswith("{"):
        schedule = split_body(members["schedule"].encode())
        given = schedule.pop("input", None)
        members["schedule"] = _join_members(schedule)
    body = read_body(model, _join_members(members).encode())
    if given is None:
        return body, None
    return body, handler_input(None if given == "null" else given)


def _join_members(members: dict[str, str]) -> str:
    return f"{{{','.join(f'{json.dumps(name)}:{value}' for name, value in members.items())}}}"
