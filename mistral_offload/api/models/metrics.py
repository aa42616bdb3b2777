"""Figures about the executions of a workflow."""

from __future__ import annotations

from mistral_offload.api.models.base import ResponseModel


class ScalarMetric(ResponseModel):
    """One figure."""

    value: int | float


class TimeSeriesMetric(ResponseModel):
    """A figure over time: pairs of a moment and a value."""

    value: list[list[int | float]]


class WorkflowMetrics(ResponseModel):
    """How often a workflow ran, how it ended and how long it took."""

    execution_count: ScalarMetric
    success_count: ScalarMetric
    error_count: ScalarMetric
    average_latency_ms: ScalarMetric
    latency_over_time: TimeSeriesMetric
    retry_rate: ScalarMetric
