"""The worker's requests to the platform: whoami, registration and heartbeat."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import httpx
from pydantic import BaseModel
from pydantic_core import to_json

from mistral_offload._async.http import AsyncHttp
from mistral_offload.api import models
from mistral_offload.api.connection import CallOptions, Connection
from mistral_offload.api.operation import Operation
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.errors import NotFoundError

_REQUEST_SECONDS = 30
_EVENTS_HEADER = "x-mistral-offload-events"
"""Tells the local platform, which shows events live, that this worker's come a little later."""


class WhoAmIResponse(models.WhoAmI):
    """Address of Temporal and namespace; ``scheduler_url`` is ``host:port`` or a URL."""

    tls: bool | None = None


class RegistrationRef(models.ResponseModel):
    """The platform's ids of one registered workflow; sent back with every heartbeat."""

    workflow_id: str
    workflow_version_id: str | None = None
    workflow_registration_id: str | None = None


class RegistrationResponse(models.ResponseModel):
    """Response to a registration."""

    has_conflicts: bool = False
    workflow_registration_refs: tuple[RegistrationRef, ...] = ()
    warnings: list[Any] | None = None


class HeartbeatResponse(models.ResponseModel):
    """Response to a heartbeat; ``all_active`` is False when the worker has to register again."""

    all_active: bool = True


class DeploymentLocation(BaseModel):
    """Location of a worker, as sent with its registration."""

    location_type: str
    k8s_cluster: str | None = None
    k8s_namespace: str | None = None


_WHOAMI: Final = Operation(
    "workers.whoami", "GET", "/v1/workflows/workers/whoami", WhoAmIResponse, idempotent=True
)
_REGISTER: Final = Operation(
    "workers.register", "POST", "/v1/workflows/register", RegistrationResponse, idempotent=True
)
_HEARTBEAT: Final = Operation(
    "workers.heartbeat", "POST", "/v1/workflows/workers/heartbeat", HeartbeatResponse
)


class Platform:
    """The part of the REST API that workers use.

    While the platform does not respond, ``whoami`` and registrations are retried for 30 s with
    growing pauses. Heartbeats are not retried, because the next one follows soon.

    Args:
        settings: the worker's settings.
        client: HTTP client of the caller, who closes it; None to create one.
    """

    def __init__(self, settings: WorkerSettings, client: httpx.AsyncClient | None = None) -> None:
        connection = Connection(
            api_key=_api_key(settings),
            server=None,
            server_url=settings.server_url,
            namespace=None,
            timeout_ms=_REQUEST_SECONDS * 1000,
            retry_config=None,
        )
        self._deployment_name = settings.deployment_name
        self._reporting: CallOptions = {
            "http_headers": {_EVENTS_HEADER: settings.mistral_offload_events}
        }
        self._http = AsyncHttp(connection, client)

    async def whoami(self, options: CallOptions | None = None) -> WhoAmIResponse | None:
        """Return the address of Temporal, or None when the platform has no such route (404).

        Args:
            options: `CallOptions` of this request.

        Raises:
            APIConnectionError: the platform sent no response.
            APIError: the platform returned an error.
        """
        try:
            return await self._http.call_async(_WHOAMI, {}, options=options or {})
        except NotFoundError:
            return None

    async def register(
        self,
        definitions: Sequence[dict[str, Any]],
        *,
        worker_name: str,
        location: DeploymentLocation,
    ) -> RegistrationResponse:
        """Register the workflows of this worker.

        Args:
            definitions: the workflows, as ``registration.describe_workflow`` returns them.
            worker_name: name of this worker process.
            location: location of this worker process.

        Raises:
            APIConnectionError: the platform sent no response.
            APIError: the platform returned an error.
        """
        body = {
            "definitions": definitions,
            "deployment_name": self._deployment_name,
            "worker_name": worker_name,
            "deployment_location": location.model_dump(exclude_none=True),
        }
        return await self._http.call_async(
            _REGISTER, {}, body=to_json(body), options=self._reporting
        )

    async def heartbeat(self, refs: Sequence[RegistrationRef], *, worker_name: str) -> bool:
        """Send a heartbeat; return False when the worker has to register again.

        Args:
            refs: the platform's ids of the registered workflows.
            worker_name: name of this worker process.

        Raises:
            APIConnectionError: the platform sent no response.
            APIError: the platform returned an error.
        """
        body = {
            "deployment_name": self._deployment_name,
            "worker_name": worker_name,
            "workflow_registration_refs": refs,
        }
        response = await self._http.call_async(_HEARTBEAT, {}, body=to_json(body), options={})
        return response.all_active

    async def close(self) -> None:
        """Close the connections opened here; a client of the caller stays open."""
        await self._http.close_async()


def _api_key(settings: WorkerSettings) -> Any:
    # A function rather than the token, so that a rotated file is noticed.
    return settings.platform_token if settings.platform_token() else None
