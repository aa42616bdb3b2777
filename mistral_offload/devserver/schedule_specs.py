"""Converts the timing of schedules between the platform's and Temporal's forms."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta, timezone
from typing import Any

from google.protobuf.timestamp_pb2 import Timestamp
from temporalio.api.enums.v1 import ScheduleOverlapPolicy
from temporalio.api.schedule.v1 import (
    IntervalSpec,
    Range,
    Schedule,
    SchedulePolicies,
    ScheduleSpec,
    StructuredCalendarSpec,
)

from mistral_offload.devserver.schedule_bodies import (
    CalendarBody,
    PolicyBody,
    RangeBody,
    ScheduleBody,
    format_duration,
)

_CRON = "cron: "
"""Prefix of a comment that keeps a cron expression, which Temporal converts to a calendar."""

_COMMENT_LIMIT = 200
_FULL_RANGES = {"day_of_month": (1, 31), "month": (1, 12), "day_of_week": (0, 6)}
_FIELDS = ("second", "minute", "hour", "day_of_month", "month", "year", "day_of_week")


def apply_changes(body: ScheduleBody, schedule: Schedule) -> None:
    """Change the parts of a schedule that the body has members for; null removes a value."""
    given = body.model_fields_set
    _apply_times(body, schedule.spec)
    spec = schedule.spec
    for name, moment, at in (
        ("start_at", body.start_at, "start_time"),
        ("end_at", body.end_at, "end_time"),
    ):
        if name in given:
            spec.ClearField(at)  # type: ignore[arg-type]
            if moment is not None:
                aware = moment if moment.tzinfo is not None else moment.replace(tzinfo=timezone.utc)
                getattr(spec, at).FromDatetime(aware)
    if "jitter" in given:
        spec.ClearField("jitter")
        if body.jitter is not None:
            spec.jitter.FromTimedelta(body.jitter)
    if "time_zone_name" in given:
        spec.timezone_name = body.time_zone_name or ""
    if "policy" in given or not schedule.HasField("policies"):
        schedule.policies.CopyFrom(_policies(body.policy or PolicyBody()))
    if "max_executions" in given:
        schedule.state.limited_actions = body.max_executions is not None
        schedule.state.remaining_actions = body.max_executions or 0


def timing_members(schedule: Schedule) -> dict[str, Any]:
    """Return the members of ``ScheduleDefinitionOutput`` about timing."""
    spec, policies = schedule.spec, schedule.policies
    calendars = spec.structured_calendar
    return {
        "calendars": [_calendar_members(c) for c in calendars if not c.comment.startswith(_CRON)],
        "intervals": [
            {
                "every": format_duration(interval.interval.ToTimedelta()),
                "offset": format_duration(interval.phase.ToTimedelta())
                if interval.HasField("phase")
                else None,
            }
            for interval in spec.interval
        ],
        "cron_expressions": [
            c.comment.removeprefix(_CRON) for c in calendars if c.comment.startswith(_CRON)
        ],
        "skip": [_calendar_members(calendar) for calendar in spec.exclude_structured_calendar],
        "start_at": format_timestamp(spec.start_time) if spec.HasField("start_time") else None,
        "end_at": format_timestamp(spec.end_time) if spec.HasField("end_time") else None,
        "jitter": format_duration(spec.jitter.ToTimedelta()) if spec.HasField("jitter") else None,
        "time_zone_name": spec.timezone_name or None,
        "policy": {
            "catchup_window_seconds": policies.catchup_window.seconds,
            "overlap": policies.overlap_policy or 1,
            "pause_on_failure": policies.pause_on_failure,
        },
    }


def format_timestamp(moment: Timestamp) -> str:
    """Format a time as in RFC 3339."""
    return _utc(moment).isoformat().replace("+00:00", "Z")


def _utc(moment: Timestamp) -> datetime:
    return moment.ToDatetime(tzinfo=timezone.utc)


def _apply_times(body: ScheduleBody, spec: ScheduleSpec) -> None:
    given = body.model_fields_set
    crons = [c for c in spec.structured_calendar if c.comment.startswith(_CRON)]
    calendars = [c for c in spec.structured_calendar if not c.comment.startswith(_CRON)]
    if "calendars" in given:
        calendars = [_calendar(calendar) for calendar in body.calendars or ()]
    if "cron_expressions" in given:
        crons = []
        spec.cron_string.extend(_cron_with_comment(text) for text in body.cron_expressions or ())
    spec.ClearField("structured_calendar")
    spec.structured_calendar.extend([*calendars, *crons])
    if "intervals" in given:
        spec.ClearField("interval")
        for interval in body.intervals or ():
            made = IntervalSpec()
            made.interval.FromTimedelta(interval.every)
            if interval.offset is not None:
                made.phase.FromTimedelta(interval.offset)
            spec.interval.append(made)
    if "skip" in given:
        spec.ClearField("exclude_structured_calendar")
        spec.exclude_structured_calendar.extend(map(_calendar, body.skip or ()))


def _cron_with_comment(cron: str) -> str:
    comment = _CRON + cron
    return f"{cron}#{comment}" if len(comment) <= _COMMENT_LIMIT and "#" not in cron else cron


def _calendar(body: CalendarBody) -> StructuredCalendarSpec:
    """Convert a calendar; fields without ranges get the platform's default.

    In Temporal, a field without ranges would never match.
    """
    made = StructuredCalendarSpec(comment=body.comment or "")
    for name in _FIELDS:
        ranges: Iterable[RangeBody] = getattr(body, name) or ()
        field = getattr(made, name)
        field.extend(Range(start=r.start, end=r.end, step=r.step) for r in ranges)
        if not field and name != "year":
            start, end = _FULL_RANGES.get(name, (0, 0))
            field.append(Range(start=start, end=end))
    return made


def _calendar_members(calendar: StructuredCalendarSpec) -> dict[str, Any]:
    members: dict[str, Any] = {
        name: [{"start": r.start, "end": r.end, "step": r.step} for r in getattr(calendar, name)]
        for name in _FIELDS
    }
    return {**members, "comment": calendar.comment or None}


def _policies(body: PolicyBody) -> SchedulePolicies:
    made = SchedulePolicies(
        overlap_policy=ScheduleOverlapPolicy.ValueType(body.overlap or 0),
        pause_on_failure=body.pause_on_failure,
    )
    made.catchup_window.FromTimedelta(timedelta(seconds=body.catchup_window_seconds))
    return made
