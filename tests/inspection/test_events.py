"""Names and roles of the payloads in events; real histories are in tests/cli/test_inspect.py."""

from __future__ import annotations

from typing import Any

from google.protobuf.json_format import ParseDict
from temporalio.api.history.v1 import HistoryEvent

from mistral_offload.inspection.events import payloads_of

PAYLOAD = {"data": "MQ=="}
ONE = {"payloads": [PAYLOAD]}
TWO = {"payloads": [PAYLOAD, PAYLOAD]}


def event(number: int, kind: str, attributes: str, **members: Any) -> HistoryEvent:
    text = {"eventId": number, "eventType": f"EVENT_TYPE_{kind}", f"{attributes}": members}
    return ParseDict(text, HistoryEvent())


def test_names_and_parts() -> None:
    events = [
        event(
            1,
            "WORKFLOW_EXECUTION_STARTED",
            "workflowExecutionStartedEventAttributes",
            workflowType={"name": "w"},
            input=TWO,
            header={"fields": {"never": PAYLOAD}},
            searchAttributes={"indexedFields": {"never": PAYLOAD}},
            memo={"fields": {"b": PAYLOAD, "a": PAYLOAD}},
        ),
        event(2, "WORKFLOW_TASK_SCHEDULED", "workflowTaskScheduledEventAttributes"),
        event(
            3,
            "WORKFLOW_EXECUTION_SIGNALED",
            "workflowExecutionSignaledEventAttributes",
            signalName="s",
            input=ONE,
        ),
        event(
            5,
            "ACTIVITY_TASK_SCHEDULED",
            "activityTaskScheduledEventAttributes",
            activityType={"name": "a"},
            input=ONE,
        ),
        event(
            6,
            "ACTIVITY_TASK_FAILED",
            "activityTaskFailedEventAttributes",
            scheduledEventId=5,
            failure={
                "encodedAttributes": PAYLOAD,
                "cause": {"applicationFailureInfo": {"details": TWO}},
            },
        ),
        event(
            7,
            "MARKER_RECORDED",
            "markerRecordedEventAttributes",
            markerName="m",
            details={"result": ONE},
        ),
        event(
            8,
            "WORKFLOW_EXECUTION_UPDATE_ACCEPTED",
            "workflowExecutionUpdateAcceptedEventAttributes",
            acceptedRequest={"input": {"name": "u", "args": ONE}},
        ),
        event(
            9,
            "WORKFLOW_EXECUTION_UPDATE_COMPLETED",
            "workflowExecutionUpdateCompletedEventAttributes",
            acceptedEventId=8,
            outcome={"success": ONE},
        ),
    ]
    found = [(each.event_id, each.event_type, each.name, each.part) for each in payloads_of(events)]
    assert found == [
        (1, "WorkflowExecutionStarted", "w", "input[0]"),
        (1, "WorkflowExecutionStarted", "w", "input[1]"),
        (1, "WorkflowExecutionStarted", "w", "memo.fields.a"),
        (1, "WorkflowExecutionStarted", "w", "memo.fields.b"),
        (3, "WorkflowExecutionSignaled", "s", "input"),
        (5, "ActivityTaskScheduled", "a", "input"),
        (6, "ActivityTaskFailed", "a", "failure.cause.application_failure_info.details[0]"),
        (6, "ActivityTaskFailed", "a", "failure.cause.application_failure_info.details[1]"),
        (6, "ActivityTaskFailed", "a", "failure.encoded_attributes"),
        (7, "MarkerRecorded", "m", "details.result"),
        (8, "WorkflowExecutionUpdateAccepted", "u", "accepted_request.input.args"),
        (9, "WorkflowExecutionUpdateCompleted", "u", "outcome.success"),
    ]
