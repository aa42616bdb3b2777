"""Mapping between an entrypoint's return value and the JSON result of its execution.

The rules are the platform's: a pydantic model is its own JSON object, None is ``null``, a value of
any other type becomes ``{"result": value}``. Results of queries and updates are not mapped.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.jsontext import load_json
from mistral_offload.payload.model_types import is_model
from mistral_offload.payload.typed_reader import ValueReader, describe_type
from mistral_offload.workflows.schemas import json_schema
from mistral_offload.workflows.signatures import MISSING

_MEMBER = "result"


class ResultMapping:
    """Mapping of one entrypoint's return value, by its return annotation."""

    def __init__(self, annotation: Any) -> None:
        self._annotation = annotation

    def write(self, value: Any) -> Any:
        """Return the execution's result for a return value."""
        if self._annotation is MISSING or self._annotation is Any:
            whole = value is None or isinstance(value, BaseModel)
        else:
            whole = value is None or is_model(self._annotation)
        return value if whole else {_MEMBER: value}

    def read(self, data: bytes) -> Any:
        """Return the return value for an execution's result, validated against the annotation.

        A result without the member ``result``, as workflows of other SDKs may return, is read as
        the value itself.

        Raises:
            PayloadDecodeError: the result does not match the annotation.
        """
        if self._annotation is MISSING or self._annotation is Any:
            value = load_json(data)
            return cast("Mapping[str, Any]", value)[_MEMBER] if _is_wrapped(value) else value
        if is_model(self._annotation):
            return self._plain.read(data)
        try:
            return self._wrapped.read(data)[_MEMBER]
        except PayloadDecodeError:
            if _is_wrapped(load_json(data)):
                raise
            return self._plain.read(data)

    def json_schema(self) -> dict[str, Any] | None:
        """Return the JSON schema of the result; None without an annotation."""
        if self._annotation is MISSING:
            return None
        whole = is_model(self._annotation) or self._annotation in (None, type(None))
        return json_schema(self._plain if whole else self._wrapped, "serialization")

    @cached_property
    def _plain(self) -> ValueReader:
        return ValueReader(self._annotation)

    @cached_property
    def _wrapped(self) -> ValueReader:
        make: Any = TypedDict
        shape = make("output", {_MEMBER: self._annotation})
        shape.__pydantic_config__ = ConfigDict(extra="forbid")
        return ValueReader(shape, name=f"a result of type {describe_type(self._annotation)}")


def _is_wrapped(value: Any) -> bool:
    return isinstance(value, dict) and set(cast("dict[str, Any]", value)) == {_MEMBER}
