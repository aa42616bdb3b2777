"""Schedules: when a workflow is started, and with which input."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from mistral_offload.api.models.base import RequestModel, ResponseModel


class ScheduleRange(RequestModel):
    """Values from ``start`` to ``end`` by ``step``; 0 stands for ``start``, and for 1."""

    start: int
    end: int = 0
    step: int = 0


class ScheduleCalendar(RequestModel):
    """Moments by calendar: each list says which values match."""

    second: list[ScheduleRange] | None = None
    minute: list[ScheduleRange] | None = None
    hour: list[ScheduleRange] | None = None
    day_of_month: list[ScheduleRange] | None = None
    month: list[ScheduleRange] | None = None
    year: list[ScheduleRange] | None = None
    day_of_week: list[ScheduleRange] | None = None
    comment: str | None = None


class ScheduleInterval(RequestModel):
    """Moments by the clock: ``every`` and ``offset`` are durations such as ``30m`` or ``PT30M``."""

    every: str
    offset: str | None = None


class SchedulePolicy(RequestModel):
    """What happens when executions overlap, fail or were missed.

    ``overlap``: 1 skip, 2 buffer one, 3 buffer all, 4 cancel the other, 5 terminate the other,
    6 allow all.
    """

    catchup_window_seconds: int = 31_536_000
    overlap: int | None = None
    pause_on_failure: bool = False


class _Timing(RequestModel):
    """When a schedule starts executions."""

    calendars: list[ScheduleCalendar] | None = None
    intervals: list[ScheduleInterval] | None = None
    cron_expressions: list[str] | None = None
    skip: list[ScheduleCalendar] | None = None
    start_at: datetime | None = None
    end_at: datetime | None = None
    jitter: str | None = None
    time_zone_name: str | None = None
    policy: SchedulePolicy | None = None


class PartialScheduleDefinition(_Timing):
    """What of a schedule is changed; members that are not given stay as they are."""

    input: Any = None
    max_executions: int | None = None


class ScheduleDefinition(_Timing):
    """A schedule to be made."""

    input: Any
    max_executions: int | None = None
    schedule_id: str | None = None


class ScheduleFutureExecution(ResponseModel):
    """An execution to come."""

    scheduled_at: datetime


class ScheduleRecentExecution(ResponseModel):
    """An execution that the schedule started."""

    scheduled_at: datetime
    started_at: datetime
    execution_id: str


class ScheduleDefinitionOutput(_Timing):
    """A schedule as it stands."""

    input: Any
    schedule_id: str
    workflow_name: str
    paused: bool
    remaining_executions: int | None = None
    deployment_name: str | None = None
    note: str | None = None
    future_executions: list[ScheduleFutureExecution] | None = None
    recent_executions: list[ScheduleRecentExecution] | None = None


class WorkflowScheduleListResponse(ResponseModel):
    """A page of schedules."""

    schedules: list[ScheduleDefinitionOutput]
    next_page_token: str | None = None


class WorkflowScheduleResponse(ResponseModel):
    """The schedule that was made or changed."""

    schedule_id: str
