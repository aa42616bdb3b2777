"""Mapping between the JSON input of a workflow and the parameters of a method.

The rules are the platform's. The input is one JSON object:

* a method without parameters takes an empty object;
* a single parameter annotated with a pydantic model, or a union of models, takes the whole object;
* otherwise every parameter is a member of the object. Members with a default may be missing, and
  unknown members are rejected. A method with one parameter also takes its bare value.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any, cast

from pydantic import AliasChoices, BaseModel, ConfigDict, RootModel, ValidationError
from pydantic.fields import FieldInfo
from pydantic_core import PydanticSerializationError, to_jsonable_python
from temporalio.api.common.v1 import Payload
from typing_extensions import NotRequired, Required, TypedDict

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.model_types import is_model, models_of
from mistral_offload.payload.typed_reader import ValueReader
from mistral_offload.temporal.converter import json_of
from mistral_offload.workflows.schemas import json_schema
from mistral_offload.workflows.signatures import FunctionSignature

_BLANKS = b" \t\r\n"
_LONGEST_NULL = 16
_WHOLE = "params"


class InputMapping:
    """Mapping of one method: JSON input to arguments, and a call's arguments to JSON input."""

    def __init__(self, signature: FunctionSignature) -> None:
        self._signature = signature

    @cached_property
    def _model(self) -> str | None:
        """Name of the parameter that takes the whole object, or None."""
        names = self._signature.names
        whole = len(names) == 1 and is_model(self._signature.annotation(names[0]))
        return names[0] if whole else None

    @cached_property
    def _reader(self) -> ValueReader:
        title = f"the input of {self._signature.qualified_name}({', '.join(self._signature.names)})"
        if self._model is not None:
            return ValueReader(self._signature.annotation(self._model), name=title)
        # A TypedDict rather than a model: its members may have any name.
        members: dict[str, Any] = {}
        for name in self._signature.names:
            annotation = self._signature.annotation(name)
            required = self._signature.is_required(name)
            members[name] = Required[annotation] if required else NotRequired[annotation]
        make: Any = TypedDict
        shape = make("input", members)
        shape.__pydantic_config__ = ConfigDict(extra="forbid")
        return ValueReader(shape, name=title)

    @cached_property
    def _bare_reader(self) -> ValueReader:
        return ValueReader(self._signature.annotation(self._signature.names[0]))

    def read(self, payload: Payload | None) -> dict[str, Any]:
        """Return the arguments in a payload by name, without those left to their defaults.

        Raises:
            PayloadDecodeError: the input does not match the parameters; every problem is listed.
        """
        data = b"null" if payload is None else json_of(payload)
        if data is None:
            raise PayloadDecodeError("the input must be JSON, not bytes or a protobuf message")
        return self.read_json(data)

    def read_json(self, data: bytes) -> dict[str, Any]:
        """Return the arguments in a JSON text; see `read`."""
        if len(data) <= _LONGEST_NULL and data.strip() == b"null":
            return self._read_null()
        if self._model is not None:
            return {self._model: self._reader.read(data)}
        names = self._signature.names
        if len(names) == 1 and not data.lstrip(_BLANKS).startswith(b"{"):
            return {names[0]: self._bare_reader.read(data)}
        return dict(self._reader.read(data))

    def _read_null(self) -> dict[str, Any]:
        """Return the arguments for a null or missing input.

        A lone required parameter becomes None if its type allows it; all others need a default.
        """
        names = self._signature.names
        if len(names) == 1 and self._signature.is_required(names[0]):
            if self._model is not None:
                return {self._model: self._reader.read(b"null")}
            if _allows_none(self._bare_reader):
                return {names[0]: None}
        return dict(self._reader.read(b"{}")) if self._model is None else {}

    def write(self, given: Any, members: Mapping[str, Any]) -> Any:
        """Return the JSON input for a call.

        Args:
            given: the input as one object, or None.
            members: the members of the input by name, or empty. ``params`` is the input as one
                object, unless there is a member of this name.

        Raises:
            TypeError: both are given, or a name is no member of the input.
        """
        names = self._member_names
        if names is None or _WHOLE not in names:
            given, members = take_whole(given, members)
        unknown = [name for name in members if names is not None and name not in names]
        if names is not None and unknown:
            raise TypeError(
                f"{', '.join(map(repr, unknown))}: no option of this call, and no member of the "
                f"input of {self._signature.qualified_name}, which has "
                f"{', '.join(map(repr, names)) or 'none'}"
            )
        if given is not None and members:
            raise TypeError(
                f"pass the input of {self._signature.qualified_name} as one object or by keyword, "
                "not both"
            )
        if members and self._model is None:
            self._signature.bind((), members)
        if members or given is None:
            return dict(members) or None
        is_object = isinstance(cast("object", given), BaseModel | Mapping)
        if is_object or self._model is not None or len(self._signature.names) != 1:
            return given
        return {self._signature.names[0]: given}

    @cached_property
    def _member_names(self) -> list[str] | None:
        """Names that the input's members can have; None if they can have any."""
        if self._model is None:
            return self._signature.names
        names: dict[str, None] = {}
        for model in models_of(self._signature.annotation(self._model)):
            if issubclass(model, RootModel) or model.model_config.get("extra") == "allow":
                return None
            for name, field in model.model_fields.items():
                names.update(dict.fromkeys(_accepted_names(model, name, field)))
        return list(names)

    def json_schema(self) -> dict[str, Any]:
        """Return the JSON schema of the input, as it is registered with the platform."""
        schema = json_schema(self._reader, "validation")
        for name, described in schema.get("properties", {}).items() if not self._model else ():
            default = self._signature.parameters[name].default
            if not self._signature.is_required(name):
                try:
                    described["default"] = to_jsonable_python(default)
                except PydanticSerializationError:
                    continue
        return schema


def take_whole(given: Any, members: Mapping[str, Any]) -> tuple[Any, Mapping[str, Any]]:
    """Return an input and its members with ``params=``, if it is among them, as the input.

    Raises:
        TypeError: the input was given as well.
    """
    if _WHOLE not in members:
        return given, members
    if given is not None:
        raise TypeError(f"pass the input by position or as {_WHOLE}=, not both")
    return members[_WHOLE], {name: each for name, each in members.items() if name != _WHOLE}


def _accepted_names(model: type[BaseModel], name: str, field: FieldInfo) -> Iterator[str]:
    """Yield the names under which a model reads a field."""
    alias, config = field.validation_alias, model.model_config
    if alias is None or config.get("populate_by_name") or config.get("validate_by_name"):
        yield name
    for choice in alias.choices if isinstance(alias, AliasChoices) else [alias]:
        if choice is not None:
            yield choice if isinstance(choice, str) else str(choice.path[0])


def _allows_none(reader: ValueReader) -> bool:
    try:
        reader.adapter.validate_json(b"null")
    except ValidationError:
        return False
    return True
