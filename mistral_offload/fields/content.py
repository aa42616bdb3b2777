"""Conversion between the value of a field and the bytes that are stored for it.

``bytes`` are stored unchanged, everything else as compact JSON by pydantic's serializer.
"""

from __future__ import annotations

import inspect
import types
from dataclasses import dataclass
from functools import cached_property
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin

from pydantic import ConfigDict, TypeAdapter, ValidationError
from pydantic.errors import PydanticUserError

from mistral_offload.errors import (
    ConfigurationError,
    PayloadDecodeError,
    PayloadSerializationError,
)
from mistral_offload.payload.field_reference import ContentForm
from mistral_offload.payload.jsontext import dump_json, load_json
from mistral_offload.payload.own_output import validate_json
from mistral_offload.payload.typed_reader import describe_type, list_problems

UNTYPED: Any = Any


@dataclass(frozen=True, slots=True)
class Content:
    """A serialized value.

    Attributes:
        data: the bytes, before encryption.
        form: their format.
    """

    data: bytes
    form: ContentForm


class FieldContent:
    """Writes and reads the values of fields of one type; the first use builds the validator.

    Args:
        annotation: the type argument of the field; `UNTYPED` if it has none.
    """

    def __init__(self, annotation: Any = UNTYPED) -> None:
        self._annotation = UNTYPED if isinstance(annotation, TypeVar) else annotation

    @property
    def is_untyped(self) -> bool:
        """True if the type of the values is unknown."""
        return self._annotation in (UNTYPED, object)

    @cached_property
    def accepts_none(self) -> bool:
        """True if None is a value of the type, rather than the absence of a value."""
        if self.is_untyped:
            return False
        try:
            return self._adapter.validate_python(None) is None
        except ValidationError:
            return False

    def write(self, value: object) -> Content:
        """Serialize a value.

        Raises:
            PayloadSerializationError: the value, or a part of it, cannot be written as JSON.
            ConfigurationError: pydantic does not support the type.
        """
        if not isinstance(value, bytes):
            return Content(self._dump(value), ContentForm.JSON)
        if self._bytes_are_raw:
            return Content(value, ContentForm.BYTES)
        try:  # a subtype of bytes may have its own JSON form
            return Content(self._dump(value), ContentForm.JSON)
        except PayloadSerializationError:
            return Content(value, ContentForm.BYTES)

    def has_platform_form(self, value: object) -> bool:
        """Return True if the platform's JSON format of a field can represent a value in place.

        It cannot represent bytes that are not UTF-8, nor bytes in a field that may also hold text,
        as which they would be read back.
        """
        if not isinstance(value, bytes):
            return True
        if self._is_bytes:
            return _is_utf8(value)
        return self.write(value).form is ContentForm.JSON

    def read(self, data: bytes, form: ContentForm | None) -> Any:
        """Deserialize a value; ``form`` is None if the reference does not contain it.

        Raises:
            PayloadDecodeError: the bytes do not fit the type; the error shows no value.
            ConfigurationError: pydantic does not support the type.
        """
        if form is None:  # written by the official SDK, which decides by type
            raw = self.is_untyped or self._is_bytes
            form = ContentForm.BYTES if raw else ContentForm.JSON
        if form is ContentForm.BYTES:
            return self.accept_bytes(data)
        if self.is_untyped:
            return load_json(data)
        try:
            return validate_json(self._adapter, data, **_BY_NAME_OPTIONS)
        except ValidationError as error:
            raise self._decode_error(error) from None

    def accept_bytes(self, data: bytes) -> Any:
        """Return bytes as a value of this type.

        Raises:
            PayloadDecodeError: the type does not accept bytes.
        """
        if self._is_bytes or self.is_untyped:
            return data
        try:
            return self._adapter.validate_python(data, strict=True)
        except ValidationError as error:
            raise self._decode_error(error) from None

    def _dump(self, value: object) -> bytes:
        return dump_json(value, None if self.is_untyped else self._adapter)

    def _decode_error(self, error: ValidationError) -> PayloadDecodeError:
        return PayloadDecodeError(
            f"the stored value does not fit {describe_type(self._annotation)}: "
            + "; ".join(list_problems(error))
        )

    @cached_property
    def _adapter(self) -> TypeAdapter[Any]:
        try:
            try:
                # Write Infinity and NaN as such, not as null, if the type allows a config.
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
        """The alternatives of the type, without None."""
        return {member for member in _union_members(self._annotation) if member is not type(None)}

    @property
    def _is_bytes(self) -> bool:
        return self._members == {bytes}

    @property
    def _bytes_are_raw(self) -> bool:
        return self.is_untyped or bytes in self._members


def _union_members(annotation: Any) -> list[Any]:
    if get_origin(annotation) in (Union, types.UnionType):
        return [each for member in get_args(annotation) for each in _union_members(member)]
    try:
        hash(annotation)
    except TypeError:  # it has unhashable metadata, so it is not plain bytes
        return [get_origin(annotation) or Annotated]
    return [annotation]


def _is_utf8(data: bytes) -> bool:
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _by_name_options() -> dict[str, Any]:
    # The official SDK writes members by name, even those with an alias. Before 2.11, pydantic
    # accepts names only if the model's own config says so.
    known = "by_name" in inspect.signature(cast("Any", TypeAdapter).validate_json).parameters
    return {"by_alias": True, "by_name": True} if known else {}


_BY_NAME_OPTIONS = _by_name_options()
