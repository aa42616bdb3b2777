"""Request bodies and query strings, validated strictly; invalid ones are rejected with 422."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator
from starlette.requests import Request

from mistral_offload.devserver.jsontext import Scanned, scan_members, split_members
from mistral_offload.devserver.refusals import Refusal, invalid
from mistral_offload.devserver.workflow_inputs import Envelope
from mistral_offload.limits import MIB

BodyT = TypeVar("BodyT", bound=BaseModel)
T = TypeVar("T")

_LARGEST_BYTES = 16 * MIB
"""Bound of a body; the largest payload is 2 MiB, and base64 makes that a third more."""

_LARGEST_REPORT_BYTES = 64 * MIB
"""Bound of reported events: a worker reports values whole, however large."""

EVENT_PATHS = tuple(
    f"/{version}/workflows/events{batch}" for version in ("v1", "v2") for batch in ("", "/batch")
)

_PARSED_IN_LOOP_BYTES = 64 * 1024

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


RESERVED_NAMES = frozenset(
    {
        # Reserved by the platform, which rejects their registration.
        *("executions", "schedules", "definitions", "internal"),
        *("webhooks", "archive", "unarchive"),
        # Other operations that have a path of their own.
        *("registrations", "runs", "events", "deployments", "workers", "register"),
    }
)
"""Path segments that take the place of a workflow's name, so that no workflow may have them."""


class Body(BaseModel):
    """A request body; unknown members are ignored, and wrong types are not converted."""

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
    """The executions of a batch operation."""

    execution_ids: Annotated[list[str], Field(max_length=1000)]


class ResetBody(Body):
    """The event to which an execution is reset."""

    event_id: Annotated[int, Field(ge=1)]
    reason: str | None = None
    exclude_signals: bool = False
    exclude_updates: bool = False


class HistoryQuery(BaseModel):
    """Options of a history."""

    decode_payloads: bool = True


class WorkflowSpec(BaseModel):
    """The parts of a workflow's definition that the platform keeps."""

    name: Annotated[str, Field(min_length=1)]
    task_queue: str | None = None
    display_name: str | None = None
    description: str | None = None
    is_technical: bool = False
    execution_timeout: Annotated[timedelta, Field(gt=timedelta(0))] | None = None

    @field_validator("name")
    @classmethod
    def _refuse_reserved(cls, name: str) -> str:
        if name in RESERVED_NAMES:
            raise ValueError(f"{name!r} is a reserved name")
        return name


class RegisterBody(BaseModel):
    """A worker, and the workflows that it runs."""

    definitions: list[WorkflowSpec]
    deployment_name: str | None = None
    worker_name: str | None = None


class RegistrationRef(BaseModel):
    """A reference to a registration in a worker's heartbeat."""

    workflow_registration_id: str


class HeartbeatBody(BaseModel):
    """A worker that is alive, and its registrations."""

    deployment_name: str | None = None
    worker_name: str | None = None
    workflow_registration_refs: list[RegistrationRef] = []


class WorkflowsQuery(BaseModel):
    """Selects the workflows to list; unknown parameters are ignored."""

    deployment_name: list[str] = []
    active_only: bool = False
    search: str | None = None
    order: Literal["asc", "desc"] = "asc"
    cursor: str | None = None
    limit: Annotated[int, Field(ge=1, le=1000)] = 50


class RunsQuery(BaseModel):
    """Selects the runs to list."""

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


def largest_body(path: str) -> int:
    """Return the most bytes of a request's body, by the path."""
    return _LARGEST_REPORT_BYTES if path in EVENT_PATHS else _LARGEST_BYTES


async def parsed(parse: Callable[[bytes], T], request: Request) -> T:
    """Read the body of a request and parse it; a large one in a thread."""
    raw = await request.body()
    if len(raw) <= _PARSED_IN_LOOP_BYTES:
        return parse(raw)
    return await asyncio.to_thread(parse, raw)


def read_body(model: type[BodyT], raw: bytes) -> BodyT:
    """Parse and validate a body.

    Raises:
        Refusal: it is not JSON, or a member is missing or has the wrong type (422).
    """
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise _refusal("body", error) from error


def read_members(model: type[BodyT], members: Mapping[str, object]) -> BodyT:
    """Validate the parsed members of a body, or of a part of it.

    Raises:
        Refusal: a member is missing or has the wrong type (422).
    """
    try:
        return model.model_validate(members)
    except ValidationError as error:
        raise _refusal("body", error) from error


def read_body_with_input(model: type[BodyT], raw: bytes) -> tuple[BodyT, str | None]:
    """Parse a body, and return it with the JSON text of its ``input``; None if absent or null.

    Raises:
        Refusal: as :func:`read_body`.
    """
    members = split_body(raw)
    given = members.pop("input", "null")
    rest = ",".join(f"{json.dumps(name)}:{value}" for name, value in members.items())
    return read_body(model, f"{{{rest}}}".encode()), None if given == "null" else given


def split_body(raw: bytes) -> dict[str, str]:
    """Split a body into its members; values are returned as they are in the text.

    Raises:
        Refusal: the body is not one JSON object (422).
    """
    return _decoded(split_members, raw)


def scan_body(raw: bytes) -> dict[str, Scanned]:
    """Split a body into its members, and parse them.

    Raises:
        Refusal: the body is not one JSON object (422).
    """
    return _decoded(scan_members, raw)


def _decoded(read: Callable[[str], T], raw: bytes) -> T:
    try:
        return read(raw.decode())
    except UnicodeDecodeError as error:
        raise invalid(("body",), f"not UTF-8: {error.reason}", "json_invalid") from error
    except json.JSONDecodeError as error:
        raise invalid(("body", error.pos), f"not JSON: {error.msg}", "json_invalid") from error


def read_query(model: type[BodyT], items: Sequence[tuple[str, str]]) -> BodyT:
    """Parse and validate a query string; repeated names form a list.

    Raises:
        Refusal: a value has the wrong type (422).
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


def _refusal(source: str, error: ValidationError) -> Refusal:
    problems: list[Mapping[str, Any]] = [
        {"loc": [source, *item["loc"]], "msg": item["msg"], "type": item["type"]}
        for item in error.errors(include_url=False, include_context=False, include_input=False)
    ]
    return Refusal(422, problems)
