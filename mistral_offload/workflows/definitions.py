"""Workflow definitions: the class and its handlers, as its decorators recorded them."""

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

DEFINITION_ATTRIBUTE = "__mistral_offload_workflow__"
"""Attribute of a decorated class that holds its definition."""


@dataclass(frozen=True)
class HandlerMark:
    """Mark that a decorator sets on a method; see `Handler` for its members."""

    role: Role
    name: str
    description: str | None = None


class Handler:
    """One decorated method of a workflow class.

    Attributes:
        role: entrypoint, signal, query, update or validator.
        name: name that callers use.
        method: the method as written.
        description: description for the platform's pages.
        signature: parameters and annotations of the method.
        input: mapping of the JSON input to the parameters.
    """

    def __init__(self, mark: HandlerMark, method: Callable[..., Any]) -> None:
        self.role = mark.role
        self.name = mark.name
        self.method = method
        self.description = mark.description or inspect.getdoc(method)
        self.signature = FunctionSignature(method, method=True)
        self.input = InputMapping(self.signature)

    @property
    def is_async(self) -> bool:
        """True for an ``async def`` method."""
        return inspect.iscoroutinefunction(self.method)

    @cached_property
    def result(self) -> ResultMapping:
        """Mapping of the return value to JSON."""
        return ResultMapping(self.signature.result)

    def plain_result_schema(self) -> dict[str, Any] | None:
        """Return the JSON schema of a query's or update's result, or None without an annotation.

        Unlike that of an entrypoint, the result is returned as it is.
        """
        result = self.signature.result
        return None if result is MISSING else json_schema(ValueReader(result), "serialization")


@dataclass(frozen=True)
class WorkflowDefinition:
    """Definition of a workflow class; see `define` for its members."""

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
    """Return the definition of a decorated class.

    Raises:
        ConfigurationError: the class is not decorated.
    """
    found = vars(cls).get(DEFINITION_ATTRIBUTE)
    if not isinstance(found, WorkflowDefinition):
        raise ConfigurationError(
            f"{cls.__module__}.{cls.__qualname__} is not a workflow: decorate it with "
            "@workflows.workflow.define(name=…)"
        )
    return found
