"""``client.workflows.metrics``: figures about workflows."""

from __future__ import annotations

from datetime import datetime

from typing_extensions import Unpack

from mistral_offload._async.http import AsyncHttp
from mistral_offload.api import endpoints
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.models import WorkflowMetrics


class AsyncMetrics:
    """Figures, by workflow."""

    _http_async: AsyncHttp

    async def get_workflow_metrics_async(
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
        return await self._http_async.call_async(
            endpoints.GET_METRICS,
            {"workflow_name": workflow_name},
            query={"start_time": start_time, "end_time": end_time},
            options=options,
        )
