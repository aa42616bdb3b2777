"""Registration of a worker's workflows with the platform, kept alive by heartbeats."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from pydantic_core import to_jsonable_python

from mistral_offload.environment.platform_api import DeploymentLocation, Platform, RegistrationRef
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.errors import MistralOffloadError
from mistral_offload.workflows.definitions import Handler, WorkflowDefinition

_logger = logging.getLogger("mistral_offload.worker")

_HEARTBEAT_SECONDS = 10.0
_K8S_NAMESPACE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")


def describe_workflow(definition: WorkflowDefinition, *, task_queue: str) -> dict[str, Any]:
    """Return the registration body of a workflow: names, JSON schemas and limits.

    Raises:
        ConfigurationError: the type of a parameter or result cannot be read from JSON.
    """
    return {
        "name": definition.name,
        "task_queue": task_queue,
        "display_name": definition.display_name,
        "description": definition.description,
        "input_schema": definition.entrypoint.input.json_schema(),
        "output_schema": definition.entrypoint.result.json_schema(),
        "signals": [_describe(handler) for handler in definition.signals],
        "queries": [_describe(handler) for handler in definition.queries],
        "updates": [_describe(handler) for handler in definition.updates],
        "enforce_determinism": definition.enforce_determinism,
        "on_behalf_of": definition.on_behalf_of,
        "execution_timeout": to_jsonable_python(definition.execution_timeout),
        "is_technical": False,
    }


def _describe(handler: Handler) -> dict[str, Any]:
    described: dict[str, Any] = {
        "name": handler.name,
        "description": handler.description,
        "input_schema": handler.input.json_schema(),
    }
    if handler.role != "signal":
        described["output_schema"] = handler.plain_result_schema()
    return described


def locate(settings: WorkerSettings) -> DeploymentLocation:
    """Return the location of this worker: ``k8s`` in a Kubernetes pod, else ``local``."""
    if not settings.kubernetes_service_host:
        return DeploymentLocation(location_type="local")
    namespace = _K8S_NAMESPACE.read_text().strip() if _K8S_NAMESPACE.is_file() else None
    return DeploymentLocation(location_type="k8s", k8s_namespace=namespace)


class WorkerRegistration:
    """Registers a worker's workflows and keeps them registered.

    Args:
        platform: the platform's REST API.
        definitions: the workflows, as `describe_workflow` returns them.
        worker_name: name of this worker process.
        location: location of this worker process.
        heartbeat_seconds: pause between heartbeats.
    """

    def __init__(
        self,
        platform: Platform,
        definitions: Sequence[dict[str, Any]],
        *,
        worker_name: str,
        location: DeploymentLocation,
        heartbeat_seconds: float = _HEARTBEAT_SECONDS,
    ) -> None:
        self._platform = platform
        self._definitions = definitions
        self._worker_name = worker_name
        self._location = location
        self._heartbeat_seconds = heartbeat_seconds
        self._refs: Sequence[RegistrationRef] = ()

    async def register(self) -> None:
        """Register the workflows of this worker with the platform.

        Raises:
            APIConnectionError: the platform sent no response.
            APIError: the platform returned an error.
        """
        response = await self._platform.register(
            self._definitions, worker_name=self._worker_name, location=self._location
        )
        self._refs = response.workflow_registration_refs
        if response.has_conflicts:
            _logger.warning(
                "Registration: a workflow of this worker is registered with another definition"
            )
        for warning in response.warnings or ():
            _logger.warning("Registration: %s", warning)

    async def keep_alive(self, before_each: Callable[[], None]) -> None:
        """Send heartbeats until cancelled, and register again when the platform requires it.

        Failures are logged, the first in a row as a warning; the worker continues with its tasks.

        Args:
            before_each: called before every heartbeat; its errors count as failed heartbeats.
        """
        failing = False
        while True:
            await asyncio.sleep(self._heartbeat_seconds)
            try:
                before_each()
                if not await self._platform.heartbeat(self._refs, worker_name=self._worker_name):
                    _logger.info(
                        "Heartbeat: the platform no longer lists this worker; registering again"
                    )
                    await self.register()
            except MistralOffloadError as error:
                _logger.log(
                    logging.DEBUG if failing else logging.WARNING, "Heartbeat failed: %s", error
                )
                failing = True
            else:
                if failing:
                    _logger.info("Heartbeats succeed again")
                failing = False
