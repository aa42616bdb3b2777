"""What a worker asks of the platform over REST."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

import httpx
from pydantic import BaseModel
from pydantic_core import to_json

from mistral_offload._async.http import AsyncHttp
from mistral_offload.api import models
from mistral_offload.api.connection import CallOptions, Connection
from mistral_offload.api.endpoints import Operation
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.errors import NotFoundError
from mistral_offload.payload.encoder import PayloadEncoder

_REQUEST_SECONDS = 30


class TemporalWhereabouts(models.WhoAmI):
    """Where Temporal is; ``scheduler_url`` is ``host:port`` or a URL."""

    tls: bool | None = None


class RegistrationRef(models.ResponseModel):
    """One workflow as the platform knows it; sent back with every heartbeat."""

    workflow_id: str
    workflow_version_id: str | None = None
    workflow_registration_id: str | None = None


class Registration(models.ResponseModel):
    """The answer to a registration."""

    has_conflicts: bool = False
    workflow_registration_refs: tuple[RegistrationRef, ...] = ()
    warnings: list[Any] | None = None


class HeartbeatAnswer(models.ResponseModel):
    """Whether the platform still knows every workflow of this worker."""

    all_active: bool = True


class DeploymentLocation(BaseModel):
    """Where the worker runs, as it is registered."""

    location_type: str
    k8s_cluster: str | None = None
    k8s_namespace: str | None = None


_WHOAMI: Final = Operation(
    "workers.whoami", "GET", "/v1/workflows/workers/whoami", TemporalWhereabouts, repeatable=True
)
_REGISTER: Final = Operation(
    "workers.register", "POST", "/v1/workflows/register", Registration, repeatable=True
)
_HEARTBEAT: Final = Operation(
    "workers.heartbeat", "POST", "/v1/workflows/workers/heartbeat", HeartbeatAnswer
)


class Platform:
    """The worker's side of the REST API.

    Questions that may be asked twice are asked again for 30 s, with growing pauses, while the
    platform does not answer; heartbeats are not, because the next one comes anyway.
    """

    def __init__(self, settings: WorkerSettings, client: httpx.AsyncClient | None = None) -> None:
        connection = Connection(
            api_key=_token_of(settings),
            server=None,
            server_url=settings.server_url,
            namespace=None,
            timeout_ms=_REQUEST_SECONDS * 1000,
            retry_config=None,
            encoder=PayloadEncoder(),
        )
        self._deployment_name = settings.deployment_name
        self._http = AsyncHttp(connection, client)

    async def whoami(self, options: CallOptions | None = None) -> TemporalWhereabouts | None:
        """Where Temporal is; None when the platform does not tell.

        Args:
            options: what to do differently from other requests.

        Raises:
            APIConnectionError: there was no answer.
            APIError: the platform refused.
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
    ) -> Registration:
        """Tell which workflows this worker runs.

        Raises:
            APIConnectionError: there was no answer.
            APIError: the platform refused.
        """
        body = {
            "definitions": definitions,
            "deployment_name": self._deployment_name,
            "worker_name": worker_name,
            "deployment_location": location.model_dump(exclude_none=True),
        }
        return await self._http.call_async(_REGISTER, {}, body=to_json(body), options={})

    async def heartbeat(self, refs: Sequence[RegistrationRef], *, worker_name: str) -> bool:
        """Tell that this worker lives; False when it has to register again.

        Raises:
            APIConnectionError: there was no answer.
            APIError: the platform refused.
        """
        body = {
            "deployment_name": self._deployment_name,
            "worker_name": worker_name,
            "workflow_registration_refs": refs,
        }
        answer = await self._http.call_async(_HEARTBEAT, {}, body=to_json(body), options={})
        return answer.all_active

    async def close(self) -> None:
        """Close the connections opened here."""
        await self._http.close_async()


def _token_of(settings: WorkerSettings) -> Any:
    """The token as a callable, so that a rotated file is noticed; None when there is none."""
    return settings.platform_token if settings.platform_token() else None
