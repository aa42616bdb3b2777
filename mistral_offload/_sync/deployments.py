# Generated from mistral_offload/_async/deployments.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 50eeabdde1a5b628

"""``client.workflows.deployments``: where workflows run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Literal

from typing_extensions import Unpack

from mistral_offload._sync.deployment_parts import SyncDeploymentParts
from mistral_offload._sync.pages import SyncDeploymentPage, SyncPageSource
from mistral_offload.api import endpoints, pagination
from mistral_offload.api.body import UNSET, Unset
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
from mistral_offload.api.request_models import members, members_if_given


class SyncDeployments(SyncDeploymentParts):
    """Deployments, by name."""

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
            active_only: only those with a worker that runs now.
            is_hardened: only those that are, or are not.
            workflow_name: only those that run this workflow.
            created_by: only those of this maker.
            owner: only those of this owner.
            location_types: only those that run there.
            search: only those whose name holds this text.
            order_by: ``updated_at`` or ``created_at``.
            order: ``desc``, newest first, or ``asc``.
            limit: deployments a page.
            cursor: ``next_cursor`` of the page before.
            workspace_id: of this workspace instead of the key's own.
            repository_url: only those built from this repository.
            dockerfile_path: only those built with this file.
            options: what this call does differently from its client.

        Raises:
            APIError: the platform refused or failed.
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
        """Walk through all deployments; pages are asked for as they are needed.

        Takes what ``list_deployments`` takes, and raises what it raises.
        """
        page: SyncDeploymentPage | None = self.list_deployments(**filters)
        while page is not None:
            for deployment in page.deployments:
                yield deployment
            page = page.next()

    def get_deployment(
        self, name: str, *, workflow_name: str | None = None, **options: Unpack[CallOptions]
    ) -> DeploymentDetailResponse:
        """Get a deployment with its workers, or those of them that run ``workflow_name``.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform refused or failed.
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
        """Have the platform build and run workers.

        Args:
            name: of the new deployment.
            spec: the source, and how it is built.
            resources: how much it may use.
            hardened: allow no changes until it is unhardened.
            options: what this call does differently from its client.

        Raises:
            ConflictError: there is a deployment of this name.
            APIError: the platform refused or failed.
        """
        return self._http.call(
            endpoints.CREATE_DEPLOYMENT,
            {},
            body={
                "name": name,
                "spec": members(spec, DeploymentWorkerSpecInput),
                "resources": members_if_given(resources, DeploymentResourceConfig),
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
        """Change a deployment; what is not given stays as it is.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform refused or failed.
        """
        return self._http.call(
            endpoints.UPDATE_DEPLOYMENT,
            {"name": name},
            body={
                "spec": members_if_given(spec, WorkflowsWorkerSpecUpdate),
                "resources": members_if_given(resources, DeploymentResourceConfigUpdate),
            },
            options=options,
        )

    def delete_deployment(
        self, name: str, **options: Unpack[CallOptions]
    ) -> ManagedDeploymentResponse:
        """Delete a deployment; its workers are stopped.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform refused or failed.
        """
        return self._http.call(endpoints.DELETE_DEPLOYMENT, {"name": name}, options=options)

    def start_deployment(
        self, name: str, **options: Unpack[CallOptions]
    ) -> ManagedDeploymentResponse:
        """Start a deployment that was stopped.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform refused or failed.
        """
        return self._http.call(endpoints.START_DEPLOYMENT, {"name": name}, options=options)

    def stop_deployment(
        self, name: str, **options: Unpack[CallOptions]
    ) -> ManagedDeploymentResponse:
        """Stop a deployment; it can be started again.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform refused or failed.
        """
        return self._http.call(endpoints.STOP_DEPLOYMENT, {"name": name}, options=options)

    def restart_deployment(
        self, name: str, **options: Unpack[CallOptions]
    ) -> ManagedDeploymentResponse:
        """Stop a deployment and start it again.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform refused or failed.
        """
        return self._http.call(endpoints.RESTART_DEPLOYMENT, {"name": name}, options=options)

    def unharden_deployment(
        self,
        deployment_id: str,
        *,
        workspace_id: str | None = None,
        **options: Unpack[CallOptions],
    ) -> None:
        """Allow changes of a hardened deployment again.

        Raises:
            NotFoundError: there is no such deployment.
            APIError: the platform refused or failed.
        """
        self._http.call(
            endpoints.UNHARDEN_DEPLOYMENT,
            {"deployment_id": deployment_id},
            query={"workspace_id": workspace_id},
            options=options,
        )
