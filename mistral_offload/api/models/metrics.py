"""Metrics of a workflow's executions."""

from __future__ import annotations

from mistral_offload.api.models.base import ResponseModel


class ScalarMetric(ResponseModel):
    """A single number."""

    value: int | float


class TimeSeriesMetric(ResponseModel):
    """A metric over time, as pairs of timestamp and value."""

    value: list[list[int | float]]


class WorkflowMetrics(ResponseModel):
    """Execution counts, average latency in milliseconds and retry rate of a workflow."""

    execution_count: ScalarMetric
    success_count: ScalarMetric
    error_count: ScalarMetric
    average_latency_ms: ScalarMetric
    latency_over_time: TimeSeriesMetric
    retry_rate: ScalarMetric
