"""Every operation of the REST API that the client calls."""

from __future__ import annotations

from typing import Any, Final, TypeVar, cast

from mistral_offload.api import encoded_events, failures, models, request_inputs, response_values
from mistral_offload.api.operation import EVENT_STREAM, Operation

T = TypeVar("T")

_WORKFLOWS = "/v1/workflows"
_WORKFLOW = f"{_WORKFLOWS}/{{workflow_identifier}}"
_REGISTRATION = f"{_WORKFLOWS}/registrations/{{workflow_registration_id}}"
_EXECUTIONS = f"{_WORKFLOWS}/executions"
_EXECUTION = f"{_EXECUTIONS}/{{execution_id}}"
_SCHEDULES = f"{_WORKFLOWS}/schedules"
_SCHEDULE = f"{_SCHEDULES}/{{schedule_id}}"
_RUNS = f"{_WORKFLOWS}/runs"
_RUN = f"{_RUNS}/{{run_id}}"
_EVENTS = f"{_WORKFLOWS}/events"
_DEPLOYMENTS = f"{_WORKFLOWS}/deployments"
_DEPLOYMENT = f"{_DEPLOYMENTS}/{{name}}"
_NO_BODY: Final = type(None)

# Type checkers do not accept unions and Any as type[...]; pydantic validates both.
_EXECUTE_RESPONSE = cast(
    "type[models.WorkflowExecutionResponse | models.WorkflowExecutionSyncResponse]",
    models.ExecuteWorkflowResponse,
)
_ANY_JSON = cast("type[Any]", Any)


def _get(name: str, path: str, returns: type[T], **parts: Any) -> Operation[T]:
    return Operation(name, "GET", path, returns, idempotent=True, **parts)


def _stream(name: str, path: str, returns: type[T], **parts: Any) -> Operation[T]:
    return _get(name, path, returns, accept=EVENT_STREAM, **parts)


def _post(name: str, path: str, returns: type[T], **parts: Any) -> Operation[T]:
    return Operation(name, "POST", path, returns, **parts)


def _put(name: str, path: str, returns: type[T]) -> Operation[T]:
    return Operation(name, "PUT", path, returns, idempotent=True)


WHOAMI: Final = _get("workers.whoami", f"{_WORKFLOWS}/workers/whoami", models.WhoAmI)

GET_WORKFLOWS: Final = _get("workflows.get_workflows", _WORKFLOWS, models.WorkflowListResponse)
GET_WORKFLOW: Final = _get("workflows.get_workflow", _WORKFLOW, models.WorkflowGetResponse)
UPDATE_WORKFLOW: Final = _put("workflows.update_workflow", _WORKFLOW, models.WorkflowUpdateResponse)
GET_REGISTRATIONS: Final = _get(
    "workflows.get_workflow_registrations",
    f"{_WORKFLOWS}/registrations",
    models.WorkflowRegistrationListResponse,
)
GET_REGISTRATION: Final = _get(
    "workflows.get_workflow_registration", _REGISTRATION, models.WorkflowRegistrationGetResponse
)
BULK_ARCHIVE: Final = _put(
    "workflows.bulk_archive_workflows", f"{_WORKFLOWS}/archive", models.WorkflowBulkArchiveResponse
)
BULK_UNARCHIVE: Final = _put(
    "workflows.bulk_unarchive_workflows",
    f"{_WORKFLOWS}/unarchive",
    models.WorkflowBulkUnarchiveResponse,
)
ARCHIVE_WORKFLOW: Final = _put(
    "workflows.archive_workflow", f"{_WORKFLOW}/archive", models.WorkflowArchiveResponse
)
UNARCHIVE_WORKFLOW: Final = _put(
    "workflows.unarchive_workflow", f"{_WORKFLOW}/unarchive", models.WorkflowUnarchiveResponse
)
ADD_TAGS: Final = _post(
    "workflows.add_workflow_tags", f"{_WORKFLOW}/tags", _NO_BODY, idempotent=True
)
# Idempotent because the execution id is fixed before the first attempt.
EXECUTE_WORKFLOW: Final = _post(
    "workflows.execute_workflow", f"{_WORKFLOW}/execute", _EXECUTE_RESPONSE,
    idempotent=True, input=request_inputs.START_INPUT, find_encoded=response_values.find_in_result,
)  # fmt: skip
EXECUTE_REGISTRATION: Final = _post(
    "workflows.execute_workflow_registration", f"{_REGISTRATION}/execute", _EXECUTE_RESPONSE,
    idempotent=True, input=request_inputs.START_INPUT, find_encoded=response_values.find_in_result,
)  # fmt: skip

GET_EXECUTION: Final = _get(
    "executions.get_workflow_execution", _EXECUTION, models.WorkflowExecutionResponse,
    find_encoded=failures.find_in_execution,
)  # fmt: skip
SIGNAL_EXECUTION: Final = _post(
    "executions.signal_workflow_execution", f"{_EXECUTION}/signals", models.SignalWorkflowResponse,
    input=request_inputs.HANDLER_INPUT,
)  # fmt: skip
QUERY_EXECUTION: Final = _post(
    "executions.query_workflow_execution", f"{_EXECUTION}/queries", models.QueryWorkflowResponse,
    idempotent=True, input=request_inputs.HANDLER_INPUT,
    find_encoded=response_values.find_in_result,
)  # fmt: skip
UPDATE_EXECUTION: Final = _post(
    "executions.update_workflow_execution", f"{_EXECUTION}/updates", models.UpdateWorkflowResponse,
    input=request_inputs.HANDLER_INPUT, find_encoded=response_values.find_in_result,
)  # fmt: skip
CANCEL_EXECUTION: Final = _post(
    "executions.cancel_workflow_execution", f"{_EXECUTION}/cancel", _NO_BODY, idempotent=True
)
TERMINATE_EXECUTION: Final = _post(
    "executions.terminate_workflow_execution", f"{_EXECUTION}/terminate", _NO_BODY, idempotent=True
)
BATCH_CANCEL: Final = _post(
    "executions.batch_cancel_workflow_executions", f"{_EXECUTIONS}/cancel",
    models.BatchExecutionResponse, idempotent=True,
)  # fmt: skip
BATCH_TERMINATE: Final = _post(
    "executions.batch_terminate_workflow_executions", f"{_EXECUTIONS}/terminate",
    models.BatchExecutionResponse, idempotent=True,
)  # fmt: skip
RESET_EXECUTION: Final = _post("executions.reset_workflow", f"{_EXECUTION}/reset", _NO_BODY)
GET_HISTORY: Final = _get(
    "executions.get_workflow_execution_history", f"{_EXECUTION}/history", _ANY_JSON,
    find_encoded=response_values.find_at_any_depth, lenient=True,
)  # fmt: skip
TRACE_INFO: Final = _get(
    "executions.get_workflow_execution_trace_info", f"{_EXECUTION}/trace/info",
    models.ExecutionTraceInfoResponse,
)  # fmt: skip
TRACE_OTEL: Final = _get(
    "executions.get_workflow_execution_trace_otel", f"{_EXECUTION}/trace/otel",
    models.WorkflowExecutionTraceOTelResponse,
    find_encoded=response_values.find_at_any_depth, lenient=True,
)  # fmt: skip
TRACE_SUMMARY: Final = _get(
    "executions.get_workflow_execution_trace_summary", f"{_EXECUTION}/trace/summary",
    models.WorkflowExecutionTraceSummaryResponse,
    find_encoded=response_values.find_at_any_depth, lenient=True,
)  # fmt: skip
TRACE_EVENTS: Final = _get(
    "executions.get_workflow_execution_trace_events", f"{_EXECUTION}/trace/events",
    models.WorkflowExecutionTraceEventsResponse,
    find_encoded=response_values.find_at_any_depth, lenient=True,
)  # fmt: skip
GET_EXECUTION_LOGS: Final = _get(
    "executions.get_workflow_execution_logs", f"{_EXECUTION}/logs",
    models.ExecutionLogSearchResponse,
)  # fmt: skip
STREAM_EXECUTION: Final = _stream(
    "executions.stream",
    f"{_EXECUTION}/stream",
    models.EventFrame,
    find_encoded=encoded_events.find_in_frame,
)
STREAM_EXECUTION_LOGS: Final = _stream(
    "executions.stream_workflow_execution_logs", f"{_EXECUTION}/logs/stream",
    models.ExecutionLogFrame,
)  # fmt: skip

GET_SCHEDULES: Final = _get(
    "schedules.get_schedules", _SCHEDULES, models.WorkflowScheduleListResponse,
    find_encoded=response_values.find_in_schedules, lenient=True,
)  # fmt: skip
SCHEDULE_WORKFLOW: Final = _post(
    "schedules.schedule_workflow", _SCHEDULES, models.WorkflowScheduleResponse,
    input=request_inputs.SCHEDULE_INPUT,
)  # fmt: skip
GET_SCHEDULE: Final = _get(
    "schedules.get_schedule", _SCHEDULE, models.ScheduleDefinitionOutput,
    find_encoded=response_values.find_in_schedule, lenient=True,
)  # fmt: skip
UPDATE_SCHEDULE: Final = Operation(
    "schedules.update_schedule", "PATCH", _SCHEDULE, models.WorkflowScheduleResponse,
    input=request_inputs.SCHEDULE_CHANGE_INPUT,
)  # fmt: skip
UNSCHEDULE: Final = Operation("schedules.unschedule_workflow", "DELETE", _SCHEDULE, _NO_BODY)
PAUSE_SCHEDULE: Final = _post(
    "schedules.pause_schedule", f"{_SCHEDULE}/pause", _NO_BODY, idempotent=True
)
RESUME_SCHEDULE: Final = _post(
    "schedules.resume_schedule", f"{_SCHEDULE}/resume", _NO_BODY, idempotent=True
)
TRIGGER_SCHEDULE: Final = _post("schedules.trigger_schedule", f"{_SCHEDULE}/trigger", _NO_BODY)

LIST_RUNS: Final = _get("runs.list_runs", _RUNS, models.WorkflowExecutionListResponse)
GET_RUN: Final = _get(
    "runs.get_run",
    _RUN,
    models.WorkflowExecutionResponse,
    find_encoded=response_values.find_in_result,
)
GET_RUN_HISTORY: Final = _get(
    "runs.get_run_history",
    f"{_RUN}/history",
    _ANY_JSON,
    find_encoded=response_values.find_at_any_depth,
    lenient=True,
)

GET_EVENTS: Final = _get(
    "events.get_workflow_events", f"{_EVENTS}/list", models.ListWorkflowEventResponse,
    find_encoded=encoded_events.find_in_events,
)  # fmt: skip
STREAM_EVENTS: Final = _stream(
    "events.get_stream_events",
    f"{_EVENTS}/stream",
    models.EventFrame,
    find_encoded=encoded_events.find_in_frame,
)

LIST_DEPLOYMENTS: Final = _get(
    "deployments.list_deployments", _DEPLOYMENTS, models.DeploymentListResponse
)
GET_DEPLOYMENT: Final = _get(
    "deployments.get_deployment", _DEPLOYMENT, models.DeploymentDetailResponse
)
CREATE_DEPLOYMENT: Final = _post(
    "deployments.create_deployment", _DEPLOYMENTS, models.ManagedDeploymentResponse
)
UPDATE_DEPLOYMENT: Final = Operation(
    "deployments.update_deployment", "PATCH", _DEPLOYMENT, models.ManagedDeploymentResponse
)
DELETE_DEPLOYMENT: Final = Operation(
    "deployments.delete_deployment", "DELETE", _DEPLOYMENT, models.ManagedDeploymentResponse
)
START_DEPLOYMENT: Final = _post(
    "deployments.start_deployment", f"{_DEPLOYMENT}/start", models.ManagedDeploymentResponse
)
STOP_DEPLOYMENT: Final = _post(
    "deployments.stop_deployment", f"{_DEPLOYMENT}/stop", models.ManagedDeploymentResponse
)
RESTART_DEPLOYMENT: Final = _post(
    "deployments.restart_deployment", f"{_DEPLOYMENT}/restart", models.ManagedDeploymentResponse
)
UNHARDEN_DEPLOYMENT: Final = _post(
    "deployments.unharden_deployment", f"{_DEPLOYMENTS}/{{deployment_id}}/unharden", _NO_BODY,
    accept="*/*",
)  # fmt: skip
LIST_DEPLOYMENT_WORKERS: Final = _get(
    "deployments.list_deployment_workers", f"{_DEPLOYMENT}/workers",
    models.DeploymentWorkerListResponse,
)  # fmt: skip
GET_DEPLOYMENT_ARCHIVE: Final = _get(
    "deployments.get_deployment_archive", f"{_DEPLOYMENT}/archive", models.DeploymentArchiveResponse
)
GET_DEPLOYMENT_LOGS: Final = _get(
    "deployments.get_deployment_logs", f"{_DEPLOYMENT}/logs", models.DeploymentLogSearchResponse
)
STREAM_DEPLOYMENT_LOGS: Final = _stream(
    "deployments.stream_deployment_logs", f"{_DEPLOYMENT}/logs/stream", models.DeploymentLogFrame
)

GET_METRICS: Final = _get(
    "metrics.get_workflow_metrics",
    f"{_WORKFLOWS}/{{workflow_name}}/metrics",
    models.WorkflowMetrics,
)
