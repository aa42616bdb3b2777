"""How what an entrypoint returns becomes the execution's result, and back for a parent.

A pydantic model is its own JSON object; a value of any other type is ``{"result": value}``; None is
``null``. These rules are the platform's. Results of queries and updates stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any, cast

from pydantic import BaseModel, ConfigDict
from typing_extensions import TypedDict

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.jsontext import load_json
from mistral_offload.payload.typed_reader import ValueReader, describe_type
from mistral_offload.workflows.schemas import json_schema
from mistral_offload.workflows.signatures import MISSING, is_model

_MEMBER = "result"


class ResultMapping:
    """Maps the return annotation of one entrypoint to result JSON and back."""

    def __init__(self, annotation: Any) -> None:
        self._annotation = annotation

    def write(self, value: Any) -> Any:
        """The value as the execution's result."""
        if self._annotation is MISSING or self._annotation is Any:
            whole = value is None or isinstance(value, BaseModel)
        else:
            whole = value is None or is_model(self._annotation)
        return value if whole else {_MEMBER: value}

    def read(self, data: bytes) -> Any:
        """The value again, validated against the annotation.

        A result without the ``result`` member, which a foreign workflow may return, is read as the
        value itself.

        Raises:
            PayloadDecodeError: it does not fit.
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
        """JSON schema of the result, for the platform; None when it is not annotated."""
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
