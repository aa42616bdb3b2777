"""Reads JSON text as a value of an annotated type."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from mistral_offload.errors import ConfigurationError, PayloadDecodeError
from mistral_offload.payload.jsontext import load_json
from mistral_offload.payload.own_output import validate_json
from mistral_offload.payload.parsed_reader import ParsedReader

_LONGEST_NULL = 16


class ValueReader:
    """Reads JSON text as one type; reuse it, because the first use builds a validator.

    ``null`` is read as None if the type allows None (``Any`` and no annotation do). For any other
    type it means "no value given": a model, dataclass or dict is then read from ``{}``, which works
    if every member has a default; other types refuse it.

    Args:
        annotation: the type.
        name: name of the type in error messages, instead of its own name.
    """

    def __init__(self, annotation: Any, *, name: str | None = None) -> None:
        self._annotation = annotation
        self._name = name

    @property
    def annotation(self) -> Any:
        """The type as it was annotated."""
        return self._annotation

    @cached_property
    def adapter(self) -> TypeAdapter[Any]:
        """Pydantic's adapter for the type.

        Raises:
            ConfigurationError: pydantic does not support the type.
        """
        try:
            return TypeAdapter(self._annotation)
        except PydanticUserError as error:
            raise ConfigurationError(
                f"values of type {describe_type(self._annotation)} cannot be read from JSON: "
                f"{error.message}"
            ) from error

    @property
    def accepts_anything(self) -> bool:
        """True if any JSON is accepted."""
        return self._annotation in (None, Any, object)

    def check(self) -> None:
        """Build the validator now.

        Raises:
            ConfigurationError: pydantic does not support the type.
        """
        if not self.accepts_anything:
            _ = self.adapter

    @cached_property
    def parsed(self) -> ParsedReader:
        """A reader of JSON that is parsed already."""
        return ParsedReader(TypeAdapter(Any) if self._annotation is None else self.adapter)

    def read(self, data: bytes) -> Any:
        """Read JSON text.

        Raises:
            PayloadDecodeError: the text is not JSON, or not of the type; the error lists every
                problem, but shows no value.
        """
        if self.accepts_anything:
            return load_json(data)
        try:
            return validate_json(self.adapter, data)
        except ValidationError as error:
            problem = error
        if len(data) <= _LONGEST_NULL and data.strip() == b"null":
            try:
                return self.adapter.validate_json(b"{}")
            except ValidationError as error:
                if any(item["loc"] for item in error.errors(include_input=False)):
                    problem = error  # an object: this error lists the missing members
        # Not chained to the problem: pydantic's text shows the value, and would end up in logs.
        raise PayloadDecodeError(
            f"the JSON does not fit {self._name or describe_type(self._annotation)}: "
            + "; ".join(list_problems(problem))
        )


def list_problems(error: ValidationError) -> list[str]:
    """Return the problems as ``location: message``, without the value."""
    problems: list[str] = []
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        location = ".".join(str(part) for part in item["loc"])
        problems.append(f"{location}: {item['msg']}" if location else item["msg"])
    return problems


def describe_type(annotation: Any) -> str:
    """Return the name of a type as it is written in code."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
