"""Registration of runs: by it the platform learns of those that it has not started itself."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Final

from mistral_offload.events.delivery import Delivery, RefusedError
from mistral_offload.events.event import ReportedRun
from mistral_offload.events.execution_token import token_hash

_PATH: Final = "/v1/workflows/executions/register"
_NO_ROUTE: Final = (404, 405)


@dataclass(frozen=True, slots=True)
class Registration:
    """The announcement of a run, sent before its first event.

    Attributes:
        run: the run.
        task_queue: the task queue of its worker.
    """

    run: ReportedRun
    task_queue: str

    @property
    def held_bytes(self) -> int:
        """0: a few names."""
        return 0

    def send(self, delivery: Delivery) -> None:
        """Register the run; a repeat changes nothing.

        Raises:
            UnreachableError: the platform did not respond.
            RefusedError: the platform refused the registration; one without this route needs none.
        """
        run = self.run
        is_root = run.root_execution_id == run.execution_id
        body = {
            "temporal_workflow_id": run.execution_id,
            "temporal_run_id": run.run_id,
            "workflow_name": run.workflow_name,
            "task_queue": self.task_queue,
            "execution_token_hash": token_hash(run.execution_token or ""),
            "temporal_parent_workflow_id": run.parent_execution_id,
            "temporal_root_workflow_id": None if is_root else run.root_execution_id,
        }
        try:
            delivery.post(_PATH, json.dumps(body).encode(), run)
        except RefusedError as error:
            if error.code is not None or error.status not in _NO_ROUTE:
                raise
