"""Schedules: start times and inputs of workflows."""

from __future__ import annotations

from datetime import datetime
from enum import IntEnum
from typing import Any

from mistral_offload.api.models.base import RequestModel, ResponseModel


class ScheduleRange(RequestModel):
    """Values from ``start`` to ``end`` in steps; 0 for ``end`` means ``start``, for ``step`` 1."""

    start: int
    end: int = 0
    step: int = 0


class ScheduleCalendar(RequestModel):
    """Start times by calendar; each list gives the values that match."""

    second: list[ScheduleRange] | None = None
    minute: list[ScheduleRange] | None = None
    hour: list[ScheduleRange] | None = None
    day_of_month: list[ScheduleRange] | None = None
    month: list[ScheduleRange] | None = None
    year: list[ScheduleRange] | None = None
    day_of_week: list[ScheduleRange] | None = None
    comment: str | None = None


class ScheduleInterval(RequestModel):
    """Start times at an interval; ``every`` and ``offset`` are durations, ``30m`` or ``PT30M``."""

    every: str
    offset: str | None = None


class ScheduleOverlapPolicy(IntEnum):
    """Action when an execution is due and the previous one is still running."""

    SKIP = 1
    BUFFER_ONE = 2
    BUFFER_ALL = 3
    CANCEL_OTHER = 4
    TERMINATE_OTHER = 5
    ALLOW_ALL = 6


class SchedulePolicy(RequestModel):
    """Policy for executions that overlap, fail or were missed.

    Attributes:
        catchup_window_seconds: age up to which a missed start is made up for; one year by default.
        overlap: action when the previous execution is still running: a `ScheduleOverlapPolicy`, or
            its number. Default: the new execution is skipped.
        pause_on_failure: True to pause the schedule when an execution fails.
    """

    catchup_window_seconds: int = 31_536_000
    overlap: int | None = None
    pause_on_failure: bool = False


class _Timing(RequestModel):
    """Start times of a schedule."""

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
    """Changes to a schedule; members that are not set stay unchanged."""

    input: Any = None
    max_executions: int | None = None


class ScheduleDefinition(_Timing):
    """A new schedule."""

    input: Any
    max_executions: int | None = None
    schedule_id: str | None = None


class ScheduleFutureExecution(ResponseModel):
    """A future execution of a schedule."""

    scheduled_at: datetime


class ScheduleRecentExecution(ResponseModel):
    """An execution that a schedule has started."""

    scheduled_at: datetime
    started_at: datetime
    execution_id: str


class ScheduleDefinitionOutput(_Timing):
    """A schedule with its state."""

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
    """Id of the schedule that was created or changed."""

    schedule_id: str
