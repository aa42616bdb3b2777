"""Request bodies and query strings, read strictly; what is wrong with one is answered with 422."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator

from mistral_offload.devserver.jsontext import split_members
from mistral_offload.devserver.refusals import Refusal, invalid
from mistral_offload.devserver.workflow_inputs import Envelope

BodyT = TypeVar("BodyT", bound=BaseModel)

Status = Literal[
    "RUNNING",
    "COMPLETED",
    "FAILED",
    "CANCELED",
    "TERMINATED",
    "CONTINUED_AS_NEW",
    "TIMED_OUT",
    "RETRYING_AFTER_ERROR",
]


NOT_A_WORKFLOW = frozenset(
    {
        # Reserved by the platform, which refuses to register them …
        *("executions", "schedules", "definitions", "internal"),
        *("webhooks", "archive", "unarchive"),
        # … and the other operations that have a path of their own.
        *("registrations", "runs", "events", "deployments", "workers", "register"),
    }
)
"""Path segments that stand where a workflow's name could."""


class Body(BaseModel):
    """Unknown members are ignored, wrong types are not converted."""

    model_config = ConfigDict(strict=True, hide_input_in_errors=True)


class ExecuteBody(Body):
    """``WorkflowExecutionRequest`` without its ``input``."""

    execution_id: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,256}$")] | None = None
    encoded_input: Envelope | None = None
    wait_for_result: bool = False
    timeout_seconds: Annotated[float, Field(gt=0, allow_inf_nan=False)] | None = None
    custom_tracing_attributes: dict[str, str] | None = None
    force_new_trace: bool = False
    traceparent: str | None = None
    extensions: dict[str, Any] | None = None
    task_queue: str | None = None
    deployment_name: str | None = None


class HandlerBody(Body):
    """A signal, query or update without its ``input``."""

    name: Annotated[str, Field(min_length=1)]


class BatchBody(Body):
    """Several executions."""

    execution_ids: list[str]


class ResetBody(Body):
    """The point from which an execution is run again."""

    event_id: Annotated[int, Field(ge=1)]
    reason: str | None = None
    exclude_signals: bool = False
    exclude_updates: bool = False


class HistoryQuery(BaseModel):
    """How a history is shown."""

    decode_payloads: bool = True


class WorkflowSpec(BaseModel):
    """What the platform keeps of a workflow's definition."""

    name: Annotated[str, Field(min_length=1)]
    task_queue: str | None = None
    display_name: str | None = None
    description: str | None = None
    is_technical: bool = False
    execution_timeout: Annotated[timedelta, Field(gt=timedelta(0))] | None = None

    @field_validator("name")
    @classmethod
    def _refuse_reserved(cls, name: str) -> str:
        if name in NOT_A_WORKFLOW:
            raise ValueError(f"{name!r} is a reserved name")
        return name


class RegisterBody(BaseModel):
    """A worker and the workflows it runs."""

    definitions: list[WorkflowSpec]
    deployment_name: str | None = None
    worker_name: str | None = None


class RegistrationRef(BaseModel):
    """One registration, as a worker names it in its heartbeat."""

    workflow_registration_id: str


class HeartbeatBody(BaseModel):
    """A worker that is alive, and the registrations it believes in."""

    deployment_name: str | None = None
    worker_name: str | None = None
    workflow_registration_refs: list[RegistrationRef] = []


class WorkflowsQuery(BaseModel):
    """Which workflows to list; what the local platform has no notion of is ignored."""

    deployment_name: list[str] = []
    active_only: bool = False
    search: str | None = None
    order: Literal["asc", "desc"] = "asc"
    cursor: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class RunsQuery(BaseModel):
    """Which runs to list."""

    workflow_identifier: str | None = None
    root_execution_id: str | None = None
    search: str | None = None
    status: list[Status] = []
    deployment_name: str | None = None
    sort_by: Literal["start_time", "end_time"] | None = None
    order: Literal["asc", "desc"] = "desc"
    start_time_after: datetime | None = None
    start_time_before: datetime | None = None
    end_time_after: datetime | None = None
    end_time_before: datetime | None = None
    page_size: Annotated[int, Field(ge=1, le=1000)] = 50
    next_page_token: str | None = None
    user_id: str | None = None
    workflow_tags: list[str] = []
    search_key: list[str] = []


def read_body(model: type[BodyT], raw: bytes) -> BodyT:
    """The body, checked.

    Raises:
        Refusal: it is not JSON, or a member is missing or of the wrong type.
    """
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise _refusal("body", error) from error


def read_body_with_input(model: type[BodyT], raw: bytes) -> tuple[BodyT, str | None]:
    """The body, checked, and its ``input`` as it stands in the text; None when absent or null.

    Raises:
        Refusal: as :func:`read_body`.
    """
    members = split_body(raw)
    given = members.pop("input", "null")
    rest = ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items())
    return read_body(model, f"{{{rest}}}".encode()), None if given == "null" else given


def split_body(raw: bytes) -> dict[str, str]:
    """The members of a body, each as it stands in the text.

    Raises:
        Refusal: it is not one JSON object.
    """
    try:
        return split_members(raw.decode())
    except UnicodeDecodeError as error:
        raise invalid(("body",), f"not UTF-8: {error.reason}", "json_invalid") from error
    except json.JSONDecodeError as error:
        raise invalid(("body", error.pos), f"not JSON: {error.msg}", "json_invalid") from error


def read_query(model: type[BodyT], items: Sequence[tuple[str, str]]) -> BodyT:
    """The query string, checked; a repeated name is a list.

    Raises:
        Refusal: a value is of the wrong type.
    """
    values: dict[str, Any] = {}
    for name, value in items:
        field = model.model_fields.get(name)
        if field is not None and isinstance(field.default, list):
            values.setdefault(name, []).append(value)
        else:
            values[name] = value
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise _refusal("query", error) from error


def _refusal(where: str, error: ValidationError) -> Refusal:
    problems: list[Mapping[str, Any]] = [
        {"loc": [where, *item["loc"]], "msg": item["msg"], "type": item["type"]}
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return Refusal(422, problems)
