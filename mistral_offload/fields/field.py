"""``OffloadableField``: a value that stands beside its model, in the store or in place.

On the wire it is ``{"value": <any or null>, "blob_ref": <key or null>}``, as on the platform. Bytes
that this form cannot hold get a third member, ``value_base64``, and leave ``value`` null; a reader
that does not know it finds no value, rather than a wrong one.
"""

from __future__ import annotations

import base64
import binascii
import copy
import reprlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeGuard, TypeVar, cast, get_args

import temporalio.workflow
from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler, TypeAdapter
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticSerializationUnexpectedValue, core_schema
from temporalio.exceptions import ApplicationError
from typing_extensions import Self

from mistral_offload.errors import (
    OffloadableFieldError,
    OffloadedValueInWorkflowError,
    PayloadDecodeError,
    ReferenceRefusedError,
)
from mistral_offload.fields.content import FieldContent
from mistral_offload.payload.field_reference import FieldReference

T_co = TypeVar("T_co", covariant=True)

Loader = Callable[["OffloadableField[Any]"], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _Binding:
    """What a field knows of the place where it was found."""

    content: FieldContent
    name: str | None = None
    loader: Loader | None = None


class OffloadableField(Generic[T_co]):
    """A value of any size and of every type pydantic can carry.

    As a field of a model: ``transcript: OffloadableField[str]``. An activity that returns it has
    its value moved to the store when the whole result is large; an activity that takes it gets the
    value back. In between, in workflow code, only the reference is there: hand the field on as it
    is.

    It does not change after it was made, and may be part of several models.

    Args:
        value: the value.
        blob_ref: storage key of the value, when it is in the store.
    """

    def __init__(self, value: T_co | None = None, *, blob_ref: str | None = None) -> None:
        self._value = None if blob_ref is not None else value  # a reference wins
        self._blob_ref = blob_ref
        self._binding: _Binding | None = None

    @property
    def value(self) -> T_co | None:
        """The value if it is here, else None; `get_value` tells the two apart."""
        return self._value

    @property
    def blob_ref(self) -> str | None:
        """Storage key of the value while it is in the store."""
        return self._blob_ref

    @property
    def is_offloaded(self) -> bool:
        """Whether the value is in the store and not here."""
        return self._blob_ref is not None

    @property
    def size_bytes(self) -> int | None:
        """Size of the value in bytes as it is stored, known without a request.

        None when there is no value, and for references written by the official SDK.
        """
        if self._blob_ref is None:
            return None if self._value is None else len(self.content.write(self._value).data)
        try:
            return FieldReference.from_key(self._blob_ref).size
        except ReferenceRefusedError:
            return None

    def get_value(self) -> T_co:
        """The value.

        Raises:
            OffloadedValueInWorkflowError: this is workflow code, where the value may not be here.
            OffloadableFieldError: there is no value, or it is still in the store.
        """
        self._require_no_workflow("get_value()")
        if self._blob_ref is not None:
            raise OffloadableFieldError(
                f"the value of {self._title} is in the store ({self._blob_ref}): activities get it "
                "restored with their arguments; where they asked for it lazily, "
                "await field.load()",
                field=self.name,
            )
        if self._value is None and not self.content.takes_none:
            raise OffloadableFieldError(f"{self._title} has no value", field=self.name)
        return cast("T_co", self._value)

    async def load(self) -> T_co:
        """The value, fetched if it is in the store; the field itself stays a reference.

        Raises:
            OffloadedValueInWorkflowError: this is workflow code.
            OffloadableFieldError: there is no value, or nothing here knows the store.
            ReferenceRefusedError: the reference names a key it may not name.
            PayloadDecodeError: what is stored is not of the field's type.
            StorageError: the blob is gone, damaged or could not be read.
        """
        if self._blob_ref is None:
            return self.get_value()
        self._require_no_workflow("load()")
        if self._binding is None or self._binding.loader is None:
            raise OffloadableFieldError(
                f"the value of {self._title} is in the store ({self._blob_ref}), which is only "
                "known to fields among the arguments of an activity",
                field=self.name,
            )
        return cast("T_co", await self._binding.loader(self))

    @property
    def name(self) -> str | None:
        """The model's name for it, when it came with a model."""
        return self._binding.name if self._binding else None

    @property
    def content(self) -> FieldContent:
        """How values of its type are written and read."""
        if self._binding is not None:
            return self._binding.content
        arguments = get_args(getattr(self, "__orig_class__", None))
        return FieldContent(*arguments[:1])

    # How it changes place, for the modules beside this one

    def moved_to(self, blob_ref: str) -> Self:
        """The same field with its value in the store."""
        return self._another(None, blob_ref)

    def restored_with(self, value: Any) -> Self:
        """The same field with its value in place."""
        return self._another(value, None)

    def without_value(self) -> Self:
        """The same field with nothing in it."""
        return self._another(None, None)

    def with_loader(self, loader: Loader) -> Self:
        """The same field, able to fetch its value."""
        binding = self._binding or _Binding(self.content)
        return self._another(self._value, self._blob_ref, replace(binding, loader=loader))

    def _another(self, value: Any, blob_ref: str | None, binding: _Binding | None = None) -> Self:
        other = type(self)(value, blob_ref=blob_ref)
        other._binding = binding or self._binding or _Binding(self.content)
        return other

    # What Python asks of it

    def __eq__(self, other: object) -> bool:
        if not is_field(other):
            return NotImplemented
        return (self.value, self._blob_ref) == (other.value, other._blob_ref)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        if self._blob_ref is not None:
            return f"OffloadableField(blob_ref={self._blob_ref!r})"
        return f"OffloadableField(value={reprlib.repr(self._value)})"

    def __copy__(self) -> Self:
        return self._another(self._value, self._blob_ref)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self._another(copy.deepcopy(self._value, memo), self._blob_ref)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuild, (type(self), self._value, self._blob_ref)

    # What pydantic asks of it

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        arguments = get_args(source)
        annotation: Any = arguments[0] if arguments else Any
        values = core_schema.nullable_schema(handler.generate_schema(annotation))
        text = core_schema.nullable_schema(core_schema.str_schema())
        members = core_schema.typed_dict_schema(
            {
                "value": core_schema.typed_dict_field(values, required=False),
                "blob_ref": core_schema.typed_dict_field(text, required=False),
                "value_base64": core_schema.typed_dict_field(text, required=False),
            },
            extra_behavior="ignore",
        )
        binding = _Binding(FieldContent(annotation), handler.field_name)

        def read(given: dict[str, Any]) -> OffloadableField[Any]:
            value = given.get("value")
            if given.get("value_base64") is not None:
                value = _from_base64(given["value_base64"], binding.content)
            return cls(value, blob_ref=given.get("blob_ref"))._bound(binding)

        def adopt(
            value: Any, validate: core_schema.ValidatorFunctionWrapHandler
        ) -> OffloadableField[Any]:
            if not is_field(value):
                return read(validate(value))
            own = value._binding
            if own is not None and own.content is binding.content:
                return value
            if value._value is None:
                return value._bound(binding)
            return read(validate({"value": value._value}))

        def write(
            value: Any,
            dump: core_schema.SerializerFunctionWrapHandler,
            info: core_schema.SerializationInfo,
        ) -> dict[str, Any]:
            if not is_field(value):
                raise PydanticSerializationUnexpectedValue(
                    f"expected an OffloadableField, not {type(value).__name__}"
                )
            if info.mode != "json" or binding.content.is_plain(value.value):
                return {"value": dump(value.value), "blob_ref": value.blob_ref}
            encoded = base64.b64encode(cast("bytes", value.value)).decode()
            return {"value": None, "blob_ref": None, "value_base64": encoded}

        return core_schema.json_or_python_schema(
            json_schema=core_schema.no_info_after_validator_function(read, members),
            python_schema=core_schema.no_info_wrap_validator_function(adopt, members),
            serialization=core_schema.wrap_serializer_function_ser_schema(
                write, info_arg=True, schema=values
            ),
        )

    @classmethod
    def __get_pydantic_json_schema__(
        cls, schema: CoreSchema, handler: GetJsonSchemaHandler
    ) -> JsonSchemaValue:
        plain: Any = {key: part for key, part in schema.items() if key != "serialization"}
        return handler(plain)

    def _bound(self, binding: _Binding) -> Self:
        return self._another(self._value, self._blob_ref, binding)

    @property
    def _title(self) -> str:
        return f"field {self.name!r}" if self.name else "an OffloadableField"

    def _require_no_workflow(self, call: str) -> None:
        if temporalio.workflow.in_workflow():
            raise _InWorkflowError(
                f"{call} of {self._title} was called in workflow code, where its value may not be "
                "here: pass the field on to an activity as it is, and call it there. What the "
                "workflow itself has to see belongs in an ordinary field of the model",
                self.name,
            )


def is_field(value: object) -> TypeGuard[OffloadableField[Any]]:
    """Whether a value is an offloadable field."""
    return isinstance(value, OffloadableField)


class _InWorkflowError(OffloadedValueInWorkflowError, ApplicationError):
    """Also a failure of Temporal's, or the workflow task would be tried again for ever."""

    def __init__(self, message: str, field: str | None) -> None:
        OffloadedValueInWorkflowError.__init__(self, message, field=field)
        ApplicationError.__init__(self, message, type=type(self).__name__, non_retryable=True)


# What it is called wherever its name is shown.
_InWorkflowError.__name__ = _InWorkflowError.__qualname__ = OffloadedValueInWorkflowError.__name__


def _from_base64(text: str, content: FieldContent) -> Any:
    try:
        return content.accept_bytes(base64.b64decode(text, validate=True))
    except (binascii.Error, PayloadDecodeError) as error:
        raise ValueError(f"value_base64: {error}") from error


def _rebuild(cls: type[OffloadableField[Any]], value: Any, blob_ref: str | None) -> Any:
    return cls(value, blob_ref=blob_ref)


# Fields outside of any model are written by what they carry.
OffloadableField.__pydantic_serializer__ = TypeAdapter(OffloadableField[Any]).serializer  # type: ignore[attr-defined]
