"""Events as the platform shows them: in lists, and as frames of a stream."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any

from temporalio.api.history.v1 import HistoryEvent

from mistral_offload.devserver.events import RawJson, event_id, write_json
from mistral_offload.devserver.refusals import Refusal
from mistral_offload.devserver.reported_events import ReportedEvent

KEEP_ALIVE = ": still running\n\n"


@dataclass(frozen=True)
class ShownEvent:
    """An event, reported by a worker or translated from Temporal's history.

    Attributes:
        id: id of the event, and of its frame.
        kind: its type.
        run_id: the run it belongs to.
        sequence: its position among the events of its source.
        context: the members of ``workflow_context`` but the namespace.
        timestamp: its time, as RFC 3339 text.
        text: the event as JSON, on one line.
    """

    id: str
    kind: str
    run_id: str
    sequence: int
    context: dict[str, str | None]
    timestamp: str
    text: str

    def frame(self, namespace: str) -> str:
        """Return the frame of a stream."""
        payload = {
            "stream": f"workflow:{self.context['workflow_exec_id']}",
            "data": RawJson(self.text),
            "workflow_context": {"namespace": namespace, **self.context},
            "broker_sequence": self.sequence,
            "timestamp": self.timestamp,
        }
        return f"id: {self.id}\nevent: {self.kind}\ndata: {write_json(payload)}\n\n"


def of_report(event: ReportedEvent) -> ShownEvent:
    """Return an event that a worker has reported."""
    report = event.report
    return ShownEvent(
        id=report.event_id,
        kind=report.event_type,
        run_id=report.run_id,
        sequence=event.sequence,
        context={
            "workflow_name": report.workflow_name,
            "workflow_exec_id": report.execution_id,
            "parent_workflow_exec_id": report.parent_execution_id,
            "root_workflow_exec_id": report.root_execution_id,
        },
        timestamp=_rfc3339(report.timestamp_ns),
        text=report.text,
    )


def of_history(event: HistoryEvent, members: dict[str, Any]) -> ShownEvent:
    """Return the translation of an event in Temporal's history."""
    run_id = str(members["workflow_run_id"])
    return ShownEvent(
        id=event_id(run_id, event),
        kind=str(members["event_type"]),
        run_id=run_id,
        sequence=event.event_id,
        context={
            name: members[name]
            for name in (
                "workflow_name",
                "workflow_exec_id",
                "parent_workflow_exec_id",
                "root_workflow_exec_id",
            )
        },
        timestamp=event.event_time.ToJsonString(),
        text=write_json(members),
    )


def error_frame(refusal: Refusal) -> str:
    """Return the frame with which a stream ends because of an error."""
    members = {"error": str(refusal.body["detail"]), "reason": "internal_error"}
    return f"event: error\ndata: {json.dumps(members)}\n\n"


def _rfc3339(nanoseconds: int) -> str:
    try:
        moment = datetime.fromtimestamp(nanoseconds / 1e9, timezone.utc)
    except (OverflowError, ValueError, OSError):  # a worker's clock can say anything
        moment = datetime.fromtimestamp(0, timezone.utc)
    return moment.isoformat().replace("+00:00", "Z")
