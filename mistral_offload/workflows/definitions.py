"""What the decorators of a workflow class record of it."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from typing import Any, Literal

from mistral_offload.errors import ConfigurationError
from mistral_offload.payload.typed_reader import ValueReader
from mistral_offload.workflows.arguments import InputMapping
from mistral_offload.workflows.results import ResultMapping
from mistral_offload.workflows.schemas import json_schema
from mistral_offload.workflows.signatures import MISSING, FunctionSignature

Role = Literal["entrypoint", "signal", "query", "update", "validator"]

DEFINITION = "__mistral_offload_workflow__"
"""Where a class keeps its definition."""


@dataclass(frozen=True)
class Mark:
    """What a decorator leaves on a method; see `Handler`."""

    role: Role
    name: str
    description: str | None = None


class Handler:
    """One decorated method of a workflow class.

    Attributes:
        role: what it handles.
        name: what callers call it.
        method: the method as it was written.
        description: for the platform's pages.
    """

    def __init__(self, mark: Mark, method: Callable[..., Any]) -> None:
        self.role = mark.role
        self.name = mark.name
        self.method = method
        self.description = mark.description or inspect.getdoc(method)
        self.signature = FunctionSignature(method, method=True)
        self.input = InputMapping(self.signature)

    @property
    def is_async(self) -> bool:
        """Whether the method is ``async def``."""
        return inspect.iscoroutinefunction(self.method)

    @cached_property
    def result(self) -> ResultMapping:
        """How the return value maps to JSON."""
        return ResultMapping(self.signature.result)

    def plain_result_schema(self) -> dict[str, Any] | None:
        """JSON schema of an answer to a query or update, which is sent as it is."""
        result = self.signature.result
        return None if result is MISSING else json_schema(ValueReader(result), "serialization")


@dataclass(frozen=True)
class WorkflowDefinition:
    """What ``define`` recorded of a workflow class; see there."""

    name: str
    cls: type
    entrypoint: Handler
    signals: Sequence[Handler]
    queries: Sequence[Handler]
    updates: Sequence[Handler]
    validators: Sequence[Handler]
    execution_timeout: timedelta
    enforce_determinism: bool
    on_behalf_of: bool
    display_name: str | None
    description: str | None
    failure_exception_types: tuple[type[Exception], ...]


def definition_of(cls: type) -> WorkflowDefinition:
    """The definition of a decorated class.

    Raises:
        ConfigurationError: the class is not decorated.
    """
    found = vars(cls).get(DEFINITION)
    if not isinstance(found, WorkflowDefinition):
        raise ConfigurationError(
            f"{cls.__module__}.{cls.__qualname__} is not a workflow: decorate it with "
            "@workflows.workflow.define(name=…)"
        )
    return found
