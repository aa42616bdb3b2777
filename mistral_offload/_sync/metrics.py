# Generated from mistral_offload/_async/metrics.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 140e1e45244d7689

"""``client.workflows.metrics``: read execution counts and latencies of workflows."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import Unpack

from mistral_offload._sync.http import SyncHttp
from mistral_offload.api import endpoints
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.models import WorkflowMetrics


class SyncMetrics:
    """Methods that read metrics of a workflow, by its name."""

    _http: SyncHttp

    def get_workflow_metrics(
        self,
        workflow_name: str,
        *,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        **options: Unpack[CallOptions],
    ) -> WorkflowMetrics:
        """Get execution counts, latencies and the retry rate of a workflow.

        Args:
            workflow_name: name of the workflow.
            start_time: begin of the period.
            end_time: end of the period.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            NotFoundError: there is no such workflow.
            APIError: the platform returned an error.
        """
        return self._http.call(
            endpoints.GET_METRICS,
            {"workflow_name": workflow_name},
            query={"start_time": start_time, "end_time": end_time},
            options=options,
        )
