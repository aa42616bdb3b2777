# Generated from mistral_offload/_async/metrics.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 481cb6bbe4e8296d

"""``client.workflows.metrics``: figures about workflows."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import Unpack

from mistral_offload._sync.http import SyncHttp
from mistral_offload.api import endpoints
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.models import WorkflowMetrics


class SyncMetrics:
    """Figures, by workflow."""

    _http: SyncHttp

    def get_workflow_metrics(
        self,
        workflow_name: str,
        *,
        start_time: datetime | None = None,
        end_time: datetime | None = None,
        **options: Unpack[CallOptions],
    ) -> WorkflowMetrics:
        """Get how often a workflow ran between two moments, how it ended and how long it took.

        Raises:
            NotFoundError: there is no such workflow.
            APIError: the platform refused or failed.
        """
        return self._http.call(
            endpoints.GET_METRICS,
            {"workflow_name": workflow_name},
            query={"start_time": start_time, "end_time": end_time},
            options=options,
        )
