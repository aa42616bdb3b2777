"""Traces of executions: spans and events, as OpenTelemetry and as the platform sums them up."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from mistral_offload.api.models.base import ResponseModel
from mistral_offload.api.models.executions import WorkflowExecutionResponse

TraceAttributes = dict[str, str | int | float | bool | list[Any] | None]


class ExecutionTraceInfoResponse(ResponseModel):
    """Whether there is a trace, and under which id."""

    otel_trace_id: str | None = None
    has_trace_data: bool = False


class WorkflowExecutionTraceEvent(ResponseModel):
    """Something that happened at a moment."""

    name: str
    id: str
    timestamp_unix_nano: int
    attributes: TraceAttributes
    type: str = "EVENT"
    internal: bool = False


class WorkflowExecutionProgressTraceEvent(WorkflowExecutionTraceEvent):
    """Something that goes on for a while."""

    start_time_unix_ms: int
    type: str = "EVENT_PROGRESS"
    status: str | None = None
    end_time_unix_ms: int | None = None
    error: str | None = None


class WorkflowExecutionTraceSummarySpan(ResponseModel):
    """A step of an execution, with the steps inside it."""

    span_id: str
    name: str
    start_time_unix_nano: int
    end_time_unix_nano: int | None
    attributes: TraceAttributes
    events: list[WorkflowExecutionTraceEvent]
    children: list[WorkflowExecutionTraceSummarySpan] = Field(
        default_factory=list["WorkflowExecutionTraceSummarySpan"]
    )


class WorkflowExecutionTraceSummaryResponse(WorkflowExecutionResponse):
    """An execution and its steps."""

    span_tree: WorkflowExecutionTraceSummarySpan | None = None


AnyTraceEvent = Annotated[
    WorkflowExecutionProgressTraceEvent | WorkflowExecutionTraceEvent,
    Field(union_mode="left_to_right"),
]


class WorkflowExecutionTraceEventsResponse(WorkflowExecutionResponse):
    """An execution and what happened in it."""

    events: list[AnyTraceEvent] = Field(default_factory=list[AnyTraceEvent])


class _Tempo(ResponseModel):
    """Base of the shapes of Grafana Tempo, whose members are in camel case on the wire."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel, populate_by_name=True)


class TempoTraceAttributeArrayElement(_Tempo):
    """An element of an array: one of the four is set."""

    string_value: str | None = None
    int_value: str | None = None
    double_value: float | None = None
    bool_value: bool | None = None


class TempoTraceAttributeArray(_Tempo):
    """The elements of an array."""

    values: list[TempoTraceAttributeArrayElement] = Field(
        default_factory=list[TempoTraceAttributeArrayElement]
    )


class TempoTraceAttributeValue(TempoTraceAttributeArrayElement):
    """A value: one of the five is set."""

    array_value: TempoTraceAttributeArray | None = None


class TempoTraceAttribute(_Tempo):
    """A named value."""

    key: str
    value: TempoTraceAttributeValue


class TempoTraceEvent(_Tempo):
    """Something that happened within a span."""

    name: str
    time_unix_nano: str
    attributes: list[TempoTraceAttribute] = Field(default_factory=list[TempoTraceAttribute])


class TempoTraceSpan(_Tempo):
    """A span."""

    trace_id: str
    span_id: str
    name: str
    kind: str
    start_time_unix_nano: str
    end_time_unix_nano: str
    parent_span_id: str | None = None
    attributes: list[TempoTraceAttribute] = Field(default_factory=list[TempoTraceAttribute])
    events: list[TempoTraceEvent] = Field(default_factory=list[TempoTraceEvent])


class TempoTraceScope(_Tempo):
    """What made the spans."""

    name: str


class TempoTraceScopeSpan(_Tempo):
    """The spans of one scope."""

    scope: TempoTraceScope
    spans: list[TempoTraceSpan] = Field(default_factory=list[TempoTraceSpan])


class TempoTraceResource(_Tempo):
    """Where the spans were made."""

    attributes: list[TempoTraceAttribute] = Field(default_factory=list[TempoTraceAttribute])


class TempoTraceBatch(_Tempo):
    """The spans of one resource."""

    resource: TempoTraceResource
    scope_spans: list[TempoTraceScopeSpan] = Field(default_factory=list[TempoTraceScopeSpan])


class TempoGetTraceResponse(_Tempo):
    """A whole trace."""

    batches: list[TempoTraceBatch] = Field(default_factory=list[TempoTraceBatch])


class WorkflowExecutionTraceOTelResponse(WorkflowExecutionResponse):
    """An execution and its OpenTelemetry trace."""

    data_source: str
    otel_trace_id: str | None = None
    otel_trace_data: TempoGetTraceResponse | None = None
