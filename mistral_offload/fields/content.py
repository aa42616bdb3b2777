"""What a field of one type holds, as bytes: a value to its blob, and back.

``bytes`` are stored as they are, everything else as compact JSON by pydantic's writer.
"""

from __future__ import annotations

import inspect
import types
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError
from pydantic_core import PydanticSerializationError, to_json

from mistral_offload.errors import (
    ConfigurationError,
    PayloadDecodeError,
    PayloadSerializationError,
)
from mistral_offload.payload.field_reference import ContentForm
from mistral_offload.payload.jsontext import load_json
from mistral_offload.payload.typed_reader import describe_type, list_problems

UNTYPED: Any = Any


@dataclass(frozen=True, slots=True)
class Content:
    """A written value.

    Attributes:
        data: the bytes, before anything is done to them for the store.
        form: what they are.
    """

    data: bytes
    form: ContentForm


class FieldContent:
    """Writes and reads the values of fields of one type; the first use builds what it needs.

    Args:
        annotation: the type argument of the field; `UNTYPED` when it has none.
    """

    def __init__(self, annotation: Any = UNTYPED) -> None:
        self._annotation = UNTYPED if isinstance(annotation, TypeVar) else annotation

    @property
    def is_untyped(self) -> bool:
        """Whether nothing is known of the values."""
        return self._annotation in (UNTYPED, object)

    @cached_property
    def takes_none(self) -> bool:
        """Whether None is one of the values, rather than none at all."""
        if self.is_untyped:
            return False
        try:
            return self._adapter.validate_python(None) is None
        except ValidationError:
            return False

    def write(self, value: object) -> Content:
        """The bytes to store for a value.

        Raises:
            PayloadSerializationError: the value, or something in it, has no JSON form.
            ConfigurationError: pydantic cannot write values of such a type.
        """
        if not isinstance(value, bytes):
            return Content(self._dump(value), ContentForm.JSON)
        if self._bytes_are_raw:
            return Content(value, ContentForm.BYTES)
        try:  # a type that is made of bytes may have a JSON form of its own
            return Content(self._dump(value), ContentForm.JSON)
        except PayloadSerializationError:
            return Content(value, ContentForm.BYTES)

    def is_plain(self, value: object) -> bool:
        """Whether a value can travel in the platform's own form of a field, as JSON.

        Only some bytes cannot: those that are not UTF-8, and those whose field might as well hold
        text, which they would become.
        """
        if not isinstance(value, bytes):
            return True
        if self._is_bytes:
            return _is_utf8(value)
        return self.write(value).form is ContentForm.JSON

    def read(self, data: bytes, form: ContentForm | None) -> Any:
        """The value again; ``form`` is None when the reference did not tell.

        Raises:
            PayloadDecodeError: the bytes are not of this type; no value is shown.
            ConfigurationError: pydantic cannot read values of such a type.
        """
        if form is None:  # written by the official SDK, which knows the type only
            raw = self.is_untyped or self._is_bytes
            form = ContentForm.BYTES if raw else ContentForm.JSON
        if form is ContentForm.BYTES:
            return self.accept_bytes(data)
        if self.is_untyped:
            return load_json(data)
        try:
            return self._adapter.validate_json(data, **_BY_NAME_TOO)
        except ValidationError as error:
            raise self._unfit(error) from None

    def accept_bytes(self, data: bytes) -> Any:
        """Bytes as a value of this type.

        Raises:
            PayloadDecodeError: the type has no bytes.
        """
        if self._is_bytes or self.is_untyped:
            return data
        try:
            return self._adapter.validate_python(data, strict=True)
        except ValidationError as error:
            raise self._unfit(error) from None

    def _dump(self, value: object) -> bytes:
        try:
            if self.is_untyped:
                return to_json(value)
            return self._adapter.dump_json(value, by_alias=True)
        except (PydanticSerializationError, ValueError, RecursionError) as error:
            raise PayloadSerializationError(
                f"a {type(value).__name__} cannot be written as JSON: {error}"
            ) from error

    def _unfit(self, error: ValidationError) -> PayloadDecodeError:
        return PayloadDecodeError(
            f"what is stored does not fit {describe_type(self._annotation)}: "
            + "; ".join(list_problems(error))
        )

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        try:
            try:
                # Infinity and NaN as they are, and not as null, wherever the type lets us say so.
                return TypeAdapter(
                    self._annotation, config=ConfigDict(ser_json_inf_nan="constants")
                )
            except PydanticUserError as error:
                if error.code != "type-adapter-config-unused":
                    raise
                return TypeAdapter(self._annotation)
        except PydanticUserError as error:
            raise ConfigurationError(
                f"fields of type {describe_type(self._annotation)} cannot be offloaded: "
                f"{error.message}"
            ) from error

    @cached_property
    def _members(self) -> set[Any]:
        """The alternatives of the type, None apart."""
        return {member for member in _alternatives(self._annotation) if member is not type(None)}

    @property
    def _is_bytes(self) -> bool:
        return self._members == {bytes}

    @property
    def _bytes_are_raw(self) -> bool:
        return self.is_untyped or bytes in self._members


def _alternatives(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        return [each for member in get_args(annotation) for each in _alternatives(member)]
    try:
        hash(annotation)
    except TypeError:  # it has metadata that cannot be hashed, and so is not plain bytes
        return [get_origin(annotation) or Annotated]
    return [annotation]


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _names_too() -> dict[str, Any]:
    # The official SDK writes members by name, also those that have an alias. Pydantic before 2.11
    # can only be told so by the model.
    known = "by_name" in inspect.signature(cast("Any", TypeAdapter).validate_json).parameters
    return {"by_alias": True, "by_name": True} if known else {}


_BY_NAME_TOO = _names_too()
