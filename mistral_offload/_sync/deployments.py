# Generated from mistral_offload/_async/deployments.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 2af02f47c80be483

"""``client.workflows.deployments``: create and manage deployments of workers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from typing_extensions import Unpack

from mistral_offload._sync.deployment_parts import SyncDeploymentParts
from mistral_offload._sync.pages import SyncDeploymentPage, SyncPageSource
from mistral_offload.api import endpoints, pagination
from mistral_offload.api.connection import CallOptions
from mistral_offload.api.filters import DeploymentFilters
from mistral_offload.api.models import (
    DeploymentDetailResponse,
    DeploymentResourceConfig,
    DeploymentResourceConfigUpdate,
    DeploymentResponse,
    DeploymentWorkerSpecInput,
    ManagedDeploymentResponse,
    WorkflowsWorkerSpecUpdate,
)
from mistral_offload.api.request_models import dump_model, dump_optional_model
from mistral_offload.api.unset import UNSET, Unset


class SyncDeployments(SyncDeploymentParts):
    """Methods that list, create and change deployments, by name."""

    def list_deployments(
        self,
        *,
        active_only: bool = True,
        is_hardened: bool | None = None,
        workflow_name: str | None = None,
        created_by: str | None = None,
        owner: str | None = None,
        location_types: Sequence[Literal["local", "k8s", "managed"]] | None = None,
        search: str | None = None,
        order_by: Literal["updated_at", "created_at"] | None = None,
        order: Literal["asc", "desc"] = "desc",
        limit: int | None = None,
        cursor: str | None = None,
        workspace_id: str | None = None,
        repository_url: str | None = None,
        dockerfile_path: str | None = None,
        **options: Unpack[CallOptions],
    ) -> SyncDeploymentPage:
        """Get a page of deployments.

        Args:
            active_only: False to include deployments without a running worker.
            is_hardened: return only hardened (True) or unhardened (False) deployments.
            workflow_name: return only deployments that run this workflow.
            created_by: return only deployments created by this user.
            owner: return only deployments of this owner.
            location_types: return only deployments with workers at these locations.
            search: return only deployments whose name contains this text.
            order_by: ``updated_at`` or ``created_at``.
            order: ``desc`` (newest first) or ``asc``.
            limit: number of deployments per page.
            cursor: ``next_cursor`` of the previous page.
            workspace_id: workspace to list instead of the API key's own.
            repository_url: return only deployments built from this repository.
            dockerfile_path: return only deployments built with this Dockerfile.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            APIError: the platform returned an error.
        """
        source = SyncPageSource(
            self._http,
            endpoints.LIST_DEPLOYMENTS,
            SyncDeploymentPage,
            pagination.DEPLOYMENTS,
            {},
            {
                "active_only": active_only,
                "is_hardened": is_hardened,
                "workflow_name": workflow_name,
                "created_by": created_by,
                "owner": owner,
                "location_types": location_types,
                "search": search,
                "order_by": order_by,
                "order": order,
                "limit": limit,
                "cursor": cursor,
                "workspace_id": workspace_id,
                "repository_url": repository_url,
                "dockerfile_path": dockerfile_path,
            },
            options,
        )
        return source.get()

    def list_deployments_iter(
        self, **filters: Unpack[DeploymentFilters]
    ) -> Iterator[DeploymentResponse]:
        """Yield all deployments, fetching pages as needed.

        Parameters and errors are those of ``list_deployments``.
        """
        page: SyncDeploymentPage | None = self.list_deployments(**filters)
        while page is not None:
            for deployment in page.deployments:
                yield deployment
            page = page.next()

    def get_deployment(
        self, name: str, *, workflow_name: str | None = None, **options: Unpack[CallOptions]
    ) -> DeploymentDetailResponse:
        """Get a deployment with its workers; with ``workflow_name``, those that run this workflow.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform returned an error.
        """
        return self._http.call(
            endpoints.GET_DEPLOYMENT,
            {"name": name},
            query={"workflow_name": workflow_name},
            options=options,
        )

    def create_deployment(
        self,
        *,
        name: str,
        spec: DeploymentWorkerSpecInput | Mapping[str, Any],
        resources: DeploymentResourceConfig | Mapping[str, Any] | Unset | None = UNSET,
        hardened: bool = False,
        **options: Unpack[CallOptions],
    ) -> ManagedDeploymentResponse:
        """Create a deployment: the platform builds workers and runs them.

        Args:
            name: name of the new deployment.
            spec: source and build settings.
            resources: resources, such as the number of replicas.
            hardened: True to refuse changes until ``unharden_deployment`` is called.
            options: `CallOptions` of this call, such as ``timeout_ms``.

        Raises:
            ConflictError: a deployment with this name exists already.
            APIError: the platform returned an error.
        """
        return self._http.call(
            endpoints.CREATE_DEPLOYMENT,
            {},
            body={
                "name": name,
                "spec": dump_model(spec, DeploymentWorkerSpecInput),
                "resources": dump_optional_model(resources, DeploymentResourceConfig),
                "hardened": hardened,
            },
            options=options,
        )

    def update_deployment(
        self,
        name: str,
        *,
        spec: WorkflowsWorkerSpecUpdate | Mapping[str, Any] | Unset | None = UNSET,
        resources: DeploymentResourceConfigUpdate | Mapping[str, Any] | Unset | None = UNSET,
        **options: Unpack[CallOptions],
    ) -> ManagedDeploymentResponse:
        """Update a deployment; parameters that are not given stay unchanged.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform returned an error.
        """
        return self._http.call(
            endpoints.UPDATE_DEPLOYMENT,
            {"name": name},
            body={
                "spec": dump_optional_model(spec, WorkflowsWorkerSpecUpdate),
                "resources": dump_optional_model(resources, DeploymentResourceConfigUpdate),
            },
            options=options,
        )

    def delete_deployment(
        self, name: str, **options: Unpack[CallOptions]
    ) -> ManagedDeploymentResponse:
        """Delete a deployment and stop its workers.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform returned an error.
        """
        return self._http.call(endpoints.DELETE_DEPLOYMENT, {"name": name}, options=options)

    def start_deployment(
        self, name: str, **options: Unpack[CallOptions]
    ) -> ManagedDeploymentResponse:
        """Start a stopped deployment.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform returned an error.
        """
        return self._http.call(endpoints.START_DEPLOYMENT, {"name": name}, options=options)

    def stop_deployment(
        self, name: str, **options: Unpack[CallOptions]
    ) -> ManagedDeploymentResponse:
        """Stop a deployment; ``start_deployment`` starts it again.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform returned an error.
        """
        return self._http.call(endpoints.STOP_DEPLOYMENT, {"name": name}, options=options)

    def restart_deployment(
        self, name: str, **options: Unpack[CallOptions]
    ) -> ManagedDeploymentResponse:
        """Stop a deployment and start it again.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform returned an error.
        """
        return self._http.call(endpoints.RESTART_DEPLOYMENT, {"name": name}, options=options)

    def unharden_deployment(
        self,
        deployment_id: str,
        *,
        workspace_id: str | None = None,
        **options: Unpack[CallOptions],
    ) -> None:
        """Allow changes to a hardened deployment again.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform returned an error.
        """
        self._http.call(
            endpoints.UNHARDEN_DEPLOYMENT,
            {"deployment_id": deployment_id},
            query={"workspace_id": workspace_id},
            options=options,
        )
