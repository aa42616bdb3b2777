"""Workflows and their registrations, the versions that workers have registered."""

from __future__ import annotations

from typing import Any

from pydantic import Field

from mistral_offload.api.models.base import ResponseModel


class WorkflowMetadata(ResponseModel):
    """Origin of a workflow."""

    shared_namespace: str | None = None


class WorkflowBasicDefinition(ResponseModel):
    """A workflow in a list."""

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
    """A workflow; ``active`` is True when a worker runs it now."""

    active: bool


class SignalDefinition(ResponseModel):
    """A signal that a workflow handles."""

    name: str
    input_schema: dict[str, Any]
    description: str | None = None


class QueryDefinition(SignalDefinition):
    """A query that a workflow handles."""

    output_schema: dict[str, Any] | None = None


class UpdateDefinition(QueryDefinition):
    """An update that a workflow handles."""


class WorkflowCodeDefinition(ResponseModel):
    """Schemas of a workflow's input, output and handlers, and its settings."""

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
    """A version of a workflow, as a worker registered it."""

    id: str
    definition: WorkflowCodeDefinition
    workflow_id: str
    deployment_id: str | None = None
    task_queue: str | None = None
    workflow: Workflow | None = None
    deployment_name: str | None = None
    compatible_with_chat_assistant: bool = False


class WorkflowRegistrationWithWorkerStatus(WorkflowRegistration):
    """A registration; ``active`` is True when a worker runs it now."""

    active: bool


class WorkflowListResponse(ResponseModel):
    """A page of workflows."""

    workflows: list[WorkflowBasicDefinition]
    next_cursor: str | None


class WorkflowRegistrationListResponse(ResponseModel):
    """A page of registrations; ``workflow_versions`` is the earlier name of the same list."""

    workflow_registrations: list[WorkflowRegistration]
    next_cursor: str | None
    workflow_versions: list[WorkflowRegistration]


class WorkflowRegistrationGetResponse(ResponseModel):
    """A registration; ``workflow_version`` is the earlier name of the same object."""

    workflow_registration: WorkflowRegistrationWithWorkerStatus
    workflow_version: WorkflowRegistrationWithWorkerStatus


class WorkflowGetResponse(ResponseModel):
    """A workflow with its worker status."""

    workflow: WorkflowWithWorkerStatus


class WorkflowUpdateResponse(ResponseModel):
    """A workflow after an update."""

    workflow: Workflow


class WorkflowArchiveResponse(WorkflowUpdateResponse):
    """A workflow after it was archived."""


class WorkflowUnarchiveResponse(WorkflowUpdateResponse):
    """A workflow after it was unarchived."""


class WorkflowBulkError(ResponseModel):
    """The reason one workflow of a bulk operation was not changed."""

    workflow_id: str
    message: str
    workflow: Workflow | None = None


class WorkflowBulkArchiveResponse(ResponseModel):
    """Workflows that were archived, and those that could not be."""

    archived: list[Workflow]
    errored: list[WorkflowBulkError] = Field(default_factory=list[WorkflowBulkError])


class WorkflowBulkUnarchiveResponse(ResponseModel):
    """Workflows that were unarchived, and those that could not be."""

    unarchived: list[Workflow]
    errored: list[WorkflowBulkError] = Field(default_factory=list[WorkflowBulkError])
