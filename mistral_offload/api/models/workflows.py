"""Workflows, and their registrations: the versions that workers have announced."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from mistral_offload.api.models.base import ResponseModel


class WorkflowMetadata(ResponseModel):
    """Where a workflow comes from."""

    shared_namespace: str | None = None


class WorkflowBasicDefinition(ResponseModel):
    """A workflow as listings show it."""

    id: str
    name: str
    display_name: str
    archived: bool
    description: str | None = None
    metadata: WorkflowMetadata | None = None
    tags: list[str] = Field(default_factory=list[str])


class Workflow(ResponseModel):
    """A workflow."""

    id: str
    name: str
    display_name: str
    type: str
    customer_id: str
    workspace_id: str
    description: str | None = None
    shared_namespace: str | None = None
    available_in_chat_assistant: bool = False
    is_technical: bool = False
    archived: bool = False
    tags: list[str] = Field(default_factory=list[str])


class WorkflowWithWorkerStatus(Workflow):
    """A workflow, and whether a worker runs it now."""

    active: bool


class SignalDefinition(ResponseModel):
    """A signal that a workflow handles."""

    name: str
    input_schema: dict[str, Any]
    description: str | None = None


class QueryDefinition(SignalDefinition):
    """A query that a workflow answers."""

    output_schema: dict[str, Any] | None = None


class UpdateDefinition(QueryDefinition):
    """An update that a workflow handles."""


class WorkflowCodeDefinition(ResponseModel):
    """What a workflow takes, returns and handles."""

    input_schema: dict[str, Any]
    output_schema: dict[str, Any] | None = None
    signals: list[SignalDefinition] = Field(default_factory=list[SignalDefinition])
    queries: list[QueryDefinition] = Field(default_factory=list[QueryDefinition])
    updates: list[UpdateDefinition] = Field(default_factory=list[UpdateDefinition])
    enforce_determinism: bool = False
    on_behalf_of: bool = False
    execution_timeout: float | None = None
    plugin_metadata: dict[str, Any] | None = None


class WorkflowRegistration(ResponseModel):
    """A version of a workflow, as a deployment announced it."""

    id: str
    definition: WorkflowCodeDefinition
    workflow_id: str
    deployment_id: str | None = None
    task_queue: str | None = None
    workflow: Workflow | None = None
    deployment_name: str | None = None
    compatible_with_chat_assistant: bool = False


class WorkflowRegistrationWithWorkerStatus(WorkflowRegistration):
    """A registration, and whether a worker runs it now."""

    active: bool


class WorkflowListResponse(ResponseModel):
    """A page of workflows."""

    workflows: list[WorkflowBasicDefinition]
    next_cursor: str | None


class WorkflowRegistrationListResponse(ResponseModel):
    """A page of registrations; ``workflow_versions`` is their earlier name."""

    workflow_registrations: list[WorkflowRegistration]
    next_cursor: str | None
    workflow_versions: list[WorkflowRegistration]


class WorkflowRegistrationGetResponse(ResponseModel):
    """A registration; ``workflow_version`` is its earlier name."""

    workflow_registration: WorkflowRegistrationWithWorkerStatus
    workflow_version: WorkflowRegistrationWithWorkerStatus


class WorkflowGetResponse(ResponseModel):
    """A workflow, and whether a worker runs it now."""

    workflow: WorkflowWithWorkerStatus


class WorkflowUpdateResponse(ResponseModel):
    """A workflow after a change."""

    workflow: Workflow


class WorkflowArchiveResponse(WorkflowUpdateResponse):
    """A workflow after it was archived."""


class WorkflowUnarchiveResponse(WorkflowUpdateResponse):
    """A workflow after it was brought back."""


class WorkflowBulkError(ResponseModel):
    """Why one workflow of several stayed as it was."""

    workflow_id: str
    message: str
    workflow: Workflow | None = None


class WorkflowBulkArchiveResponse(ResponseModel):
    """The workflows that were archived, and those that were not."""

    archived: list[Workflow]
    errored: list[WorkflowBulkError] = Field(default_factory=list[WorkflowBulkError])


class WorkflowBulkUnarchiveResponse(ResponseModel):
    """The workflows that were brought back, and those that were not."""

    unarchived: list[Workflow]
    errored: list[WorkflowBulkError] = Field(default_factory=list[WorkflowBulkError])
