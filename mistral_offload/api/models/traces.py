"""Traces of executions, as OpenTelemetry spans and as the platform's summaries."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import ConfigDict, Field
from pydantic.alias_generators import to_camel

from mistral_offload.api.models.base import ResponseModel
from mistral_offload.api.models.executions import WorkflowExecutionResponse

TraceAttributes = dict[str, str | int | float | bool | list[Any] | dict[str, Any] | None]
"""Attributes of a step; a value that is encoded, or was, may be an object."""


class ExecutionTraceInfoResponse(ResponseModel):
    """Id of an execution's trace; ``has_trace_data`` is False when there is none."""

    otel_trace_id: str | None = None
    has_trace_data: bool = False


class WorkflowExecutionTraceEvent(ResponseModel):
    """An event of a trace, at one point in time."""

    name: str
    id: str
    timestamp_unix_nano: int
    attributes: TraceAttributes
    type: str = "EVENT"
    internal: bool = False


class WorkflowExecutionProgressTraceEvent(WorkflowExecutionTraceEvent):
    """An event of a trace with a start and an end, in milliseconds since the epoch."""

    start_time_unix_ms: int
    type: str = "EVENT_PROGRESS"
    status: str | None = None
    end_time_unix_ms: int | None = None
    error: str | None = None


class WorkflowExecutionTraceSummarySpan(ResponseModel):
    """A step of an execution, with its nested steps."""

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
    """An execution and its steps as a tree."""

    span_tree: WorkflowExecutionTraceSummarySpan | None = None


AnyTraceEvent = Annotated[
    WorkflowExecutionProgressTraceEvent | WorkflowExecutionTraceEvent,
    Field(union_mode="left_to_right"),
]


class WorkflowExecutionTraceEventsResponse(WorkflowExecutionResponse):
    """An execution and the events of its trace."""

    events: list[AnyTraceEvent] = Field(default_factory=list[AnyTraceEvent])


class _Tempo(ResponseModel):
    """Base of Grafana Tempo's models; their members are in camel case on the wire."""

    model_config = ConfigDict(extra="allow", alias_generator=to_camel, populate_by_name=True)


class TempoTraceAttributeArrayElement(_Tempo):
    """An element of an array; one of the four members is set."""

    string_value: str | None = None
    int_value: str | None = None
    double_value: float | None = None
    bool_value: bool | None = None


class TempoTraceAttributeArray(_Tempo):
    """Elements of an array."""

    values: list[TempoTraceAttributeArrayElement] = Field(
        default_factory=list[TempoTraceAttributeArrayElement]
    )


class TempoTraceAttributeValue(TempoTraceAttributeArrayElement):
    """A value of an attribute; one of the five members is set."""

    array_value: TempoTraceAttributeArray | None = None


class TempoTraceAttribute(_Tempo):
    """An attribute: key and value."""

    key: str
    value: TempoTraceAttributeValue


class TempoTraceEvent(_Tempo):
    """An event of a span."""

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
    """The instrumentation scope that created the spans."""

    name: str


class TempoTraceScopeSpan(_Tempo):
    """The spans of one scope."""

    scope: TempoTraceScope
    spans: list[TempoTraceSpan] = Field(default_factory=list[TempoTraceSpan])


class TempoTraceResource(_Tempo):
    """The resource that created the spans."""

    attributes: list[TempoTraceAttribute] = Field(default_factory=list[TempoTraceAttribute])


class TempoTraceBatch(_Tempo):
    """The spans of one resource."""

    resource: TempoTraceResource
    scope_spans: list[TempoTraceScopeSpan] = Field(default_factory=list[TempoTraceScopeSpan])


class TempoGetTraceResponse(_Tempo):
    """A complete trace."""

    batches: list[TempoTraceBatch] = Field(default_factory=list[TempoTraceBatch])


class WorkflowExecutionTraceOTelResponse(WorkflowExecutionResponse):
    """An execution and its OpenTelemetry trace."""

    data_source: str
    otel_trace_id: str | None = None
    otel_trace_data: TempoGetTraceResponse | None = None
