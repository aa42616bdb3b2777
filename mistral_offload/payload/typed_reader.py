"""JSON text to a value of an annotated type."""

from __future__ import annotations

from functools import cached_property
from typing import Any

from pydantic import TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from mistral_offload.errors import ConfigurationError, PayloadDecodeError
from mistral_offload.payload.jsontext import load_json

_LONGEST_NULL = 16


class ValueReader:
    """Reads JSON text as one type; keep it, because the first use builds a validator.

    ``null`` is None wherever the type allows None (``Any`` and no annotation do). For a type that
    does not, it means "nothing was given": a model, dataclass or dict is then read from ``{}``, so
    that one with only defaults gets them, and every other type refuses it.

    Args:
        annotation: the type.
        name: what error messages call it, instead of the type's own name.
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
        """Pydantic's adapter of the type.

        Raises:
            ConfigurationError: pydantic cannot read such a type.
        """
        try:
            return TypeAdapter(self._annotation)
        except PydanticUserError as error:
            raise ConfigurationError(
                f"values of type {describe_type(self._annotation)} cannot be read from JSON: "
                f"{error.message}"
            ) from error

    @property
    def takes_anything(self) -> bool:
        """Whether every JSON is fine."""
        return self._annotation in (None, Any, object)

    def check(self) -> None:
        """Build the validator now.

        Raises:
            ConfigurationError: pydantic cannot read such a type.
        """
        if not self.takes_anything:
            _ = self.adapter

    def read(self, data: bytes) -> Any:
        """Read JSON text.

        Raises:
            PayloadDecodeError: it is not JSON, or not of the type; every problem is listed, and no
                value is shown.
        """
        if self.takes_anything:
            return load_json(data)
        try:
            return self.adapter.validate_json(data)
        except ValidationError as error:
            problem = error
        if len(data) <= _LONGEST_NULL and data.strip() == b"null":
            try:
                return self.adapter.validate_json(b"{}")
            except ValidationError as error:
                if any(item["loc"] for item in error.errors(include_input=False)):
                    problem = error  # it is an object, and this says what it needs
        # Not from the problem: pydantic's own text shows the value, and would end up in logs.
        raise PayloadDecodeError(
            f"the JSON does not fit {self._name or describe_type(self._annotation)}: "
            + "; ".join(list_problems(problem))
        )


def list_problems(error: ValidationError) -> list[str]:
    """Each problem as ``place: what is wrong``, without the value."""
    problems: list[str] = []
    for item in error.errors(include_input=False, include_url=False, include_context=False):
        place = ".".join(str(part) for part in item["loc"])
        problems.append(f"{place}: {item['msg']}" if place else item["msg"])
    return problems


def describe_type(annotation: Any) -> str:
    """A type as people write it."""
    return annotation.__name__ if isinstance(annotation, type) else str(annotation)
