"""Deployments: workers, and the source and resources the platform runs them with."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import Field

from mistral_offload.api.models.base import RequestModel, ResponseModel


class DeploymentLocation(ResponseModel):
    """Location of workers; ``location_type`` is ``local``, ``k8s`` or ``managed``."""

    location_type: str
    k8s_cluster: str | None = None
    k8s_namespace: str | None = None


class DeploymentWorkerResponse(ResponseModel):
    """A worker of a deployment."""

    name: str
    created_at: datetime
    last_heartbeat: datetime
    updated_at: datetime
    is_active: bool
    location: DeploymentLocation | None = None


class DeploymentSecretBinding(RequestModel):
    """A secret and the environment variable that receives it."""

    env_var_name: str
    reference: str


class DeploymentMistralCloudBackendSpec(RequestModel):
    """Build settings of a deployment in Mistral's cloud."""

    type: Literal["mistral_cloud", "koyeb"] = "mistral_cloud"
    build_directory: str | None = None
    dockerfile_path: str | None = None
    secrets: list[DeploymentSecretBinding] | None = None


class DeploymentK8sBackendSpec(RequestModel):
    """Run settings of a deployment in a Kubernetes cluster."""

    type: Literal["kubernetes"] = "kubernetes"
    entrypoint: str | None = None
    working_dir: str | None = None


BackendSpec = Annotated[
    DeploymentMistralCloudBackendSpec | DeploymentK8sBackendSpec | dict[str, Any],
    Field(union_mode="left_to_right"),
]
"""One of the known backends, or an unknown one as the dict that arrived."""


class DeploymentWorkerSpecInput(RequestModel):
    """Source and backend of a new deployment."""

    github_url: str | None = None
    revision: str | None = None
    archive_id: str | None = None
    backend_spec: BackendSpec | None = None
    requested_roles: list[str] | None = None


class WorkflowsWorkerSpecUpdate(DeploymentWorkerSpecInput):
    """Changes to a deployment's source and backend."""


class DeploymentResourceConfig(RequestModel):
    """Resources of a deployment."""

    replicas: int | None = None


class DeploymentResourceConfigUpdate(DeploymentResourceConfig):
    """Changes to a deployment's resources."""


class GitCommitAuthor(ResponseModel):
    """Author of a commit."""

    name: str | None = None
    username: str | None = None
    html_url: str | None = None


class GitCommitMetadata(ResponseModel):
    """The commit a deployment was built from."""

    sha: str
    message: str | None = None
    author: GitCommitAuthor | None = None
    html_url: str | None = None


class DeploymentWorkerSpecResponse(ResponseModel):
    """Source and backend of an existing deployment."""

    github_url: str
    backend_spec: BackendSpec
    type: str = "workflows_worker"
    revision: str | None = None
    archive_id: str | None = None
    restarted_at: str | None = None
    commit: GitCommitMetadata | None = None
    requested_roles: list[str] | None = None


class DeploymentBuildState(ResponseModel):
    """Progress of a build."""

    phase: str | None = None
    commit_sha: str | None = None
    image: str | None = None
    message: str | None = None
    started_at: datetime | None = None
    finished_at: datetime | None = None


class DeploymentObservedState(ResponseModel):
    """State of a deployment when the platform last observed it."""

    phase: str | None = None
    available_replicas: int = 0
    ready_replicas: int = 0
    endpoint: str | None = None
    message: str | None = None
    last_seen: datetime | None = None
    deployed_revision: str | None = None
    generation: int | None = None
    build_state: DeploymentBuildState | None = None


class ManagedDeploymentResponse(ResponseModel):
    """A deployment that the platform builds and runs."""

    service_id: str
    name: str
    spec: DeploymentWorkerSpecResponse
    resources: DeploymentResourceConfig
    status: DeploymentObservedState
    created_at: datetime
    updated_at: datetime
    stopped: bool = False
    rollout_status: str | None = None
    created_by: str | None = None
    updated_by: str | None = None
    deployed_by: str | None = None
    deployed_at: datetime | None = None
    is_hardened: bool = False
    runtime_credential_id: str | None = None
    runtime_principal_type: str | None = None


class DeploymentResponse(ResponseModel):
    """A deployment in a list."""

    id: str
    name: str
    is_active: bool
    created_at: datetime
    last_heartbeat: datetime
    updated_at: datetime
    is_hardened: bool = False
    owner: str | None = None
    location: DeploymentLocation | None = None
    worker_count: int = 0
    active_worker_count: int = 0
    locations: list[str] = Field(default_factory=list[str])
    managed: ManagedDeploymentResponse | None = None


class DeploymentDetailResponse(DeploymentResponse):
    """A deployment with its workers."""

    workers: list[DeploymentWorkerResponse]


class DeploymentListResponse(ResponseModel):
    """A page of deployments."""

    deployments: list[DeploymentResponse]
    next_cursor: str | None
    workspace_id: str


class DeploymentWorkerListResponse(ResponseModel):
    """A page of a deployment's workers."""

    workers: list[DeploymentWorkerResponse]
    next_cursor: str | None


class DeploymentArchiveResponse(ResponseModel):
    """Download location of a deployment's source."""

    archive_id: str
    download_url: str | None = None
