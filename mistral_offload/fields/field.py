"""``OffloadableField``: a model field whose value is in place or in the store.

The wire format is the platform's: ``{"value": <any or null>, "blob_ref": <key or null>}``. Bytes
that JSON cannot represent are sent in a third member, ``value_base64``, with ``value`` null; a
reader that does not know that member finds no value, rather than a wrong one.
"""

from __future__ import annotations

import base64
import binascii
import copy
import reprlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeGuard, TypeVar, cast, get_args

from pydantic import (
    BaseModel,
    ConfigDict,
    GetCoreSchemaHandler,
    GetJsonSchemaHandler,
    TypeAdapter,
)
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, PydanticSerializationUnexpectedValue, core_schema
from typing_extensions import Self

from mistral_offload.errors import (
    OffloadableFieldError,
    PayloadDecodeError,
    ReferenceRefusedError,
)
from mistral_offload.fields.content import FieldContent
from mistral_offload.files.workflow_code import in_workflow_code, workflow_code_error
from mistral_offload.payload.field_reference import FieldReference
from mistral_offload.payload.traversal import ValueHolder

T_co = TypeVar("T_co", covariant=True)

Loader = Callable[["OffloadableField[Any]"], Awaitable[Any]]


@dataclass(frozen=True, slots=True)
class _Binding:
    """The type and name of the model field that a value belongs to, and how to load the value."""

    content: FieldContent
    name: str | None = None
    loader: Loader | None = None


class OffloadableField(ValueHolder, Generic[T_co]):
    """A model field of any type pydantic supports, whose value may be moved to the store.

    If the result of an activity is large, the values of its fields are stored and replaced by
    references. An activity that takes such a field gets the value back. Workflow code in between
    sees only the reference: pass the field on unchanged.

    A field is immutable, and may be part of several models.

    Example::

        class Transcript(OffloadableModel):
            title: str
            text: OffloadableField[str]


        @activity()
        async def transcribe(url: str) -> Transcript:
            return Transcript(title="…", text=OffloadableField("a long text"))


        @activity()
        async def count_words(transcript: Transcript) -> int:
            return len(transcript.text.get_value().split())

    Args:
        value: the value.
        blob_ref: storage key of the value, if it is in the store.
    """

    def __init__(self, value: T_co | None = None, *, blob_ref: str | None = None) -> None:
        self._value = None if blob_ref is not None else value  # a reference wins
        self._blob_ref = blob_ref
        self._binding: _Binding | None = None

    @property
    def value(self) -> T_co | None:
        """The value if it is in place, else None; `get_value` raises instead."""
        return self._value

    @property
    def blob_ref(self) -> str | None:
        """Storage key of the value if it is in the store, else None."""
        return self._blob_ref

    @property
    def is_offloaded(self) -> bool:
        """True if the value is in the store and not in place."""
        return self._blob_ref is not None

    @property
    def size_bytes(self) -> int | None:
        """Size of the value in bytes as stored, known without a request.

        None if there is no value, and for references written by the official SDK.
        """
        if self._blob_ref is None:
            return None if self._value is None else len(self.content.write(self._value).data)
        try:
            return FieldReference.from_key(self._blob_ref).size
        except ReferenceRefusedError:
            return None

    def json_members(self) -> dict[str, Any]:
        """Return the members of the field's JSON that come from the caller."""
        return {"value": self._value}

    def get_value(self) -> T_co:
        """Return the value.

        Raises:
            OffloadedValueInWorkflowError: called in workflow code, where the value may be missing.
            OffloadableFieldError: there is no value, or it is still in the store.
        """
        self._require_no_workflow("get_value()")
        if self._blob_ref is not None:
            raise OffloadableFieldError(
                f"the value of {self._title} is in the store ({self._blob_ref}): activities get it "
                "restored with their arguments; if the parameter is lazy, await field.load()",
                field=self.name,
            )
        if self._value is None and not self.content.accepts_none:
            raise OffloadableFieldError(f"{self._title} has no value", field=self.name)
        return cast("T_co", self._value)

    async def load(self) -> T_co:
        """Return the value, fetched if it is in the store; the field itself stays a reference.

        Raises:
            OffloadedValueInWorkflowError: called in workflow code.
            OffloadableFieldError: there is no value, or the field has no access to the store.
            ReferenceRefusedError: the reference names a key it may not name.
            PayloadDecodeError: the stored value does not fit the field's type.
            StorageError: the blob was removed, is damaged or could not be read.
        """
        if self._blob_ref is None:
            return self.get_value()
        self._require_no_workflow("load()")
        if self._binding is None or self._binding.loader is None:
            raise OffloadableFieldError(
                f"the value of {self._title} is in the store ({self._blob_ref}), and only a field "
                "in the arguments of an activity can load it",
                field=self.name,
            )
        return cast("T_co", await self._binding.loader(self))

    @property
    def name(self) -> str | None:
        """Name of the field in its model, or None if it never was in one."""
        return self._binding.name if self._binding else None

    @property
    def content(self) -> FieldContent:
        """Writer and reader for values of the field's type."""
        if self._binding is not None:
            return self._binding.content
        arguments = get_args(getattr(self, "__orig_class__", None))
        return FieldContent(*arguments[:1])

    # Changed copies, for the other modules of this package

    def moved_to(self, blob_ref: str) -> Self:
        """Return a copy whose value is in the store."""
        return self._copy_with(None, blob_ref)

    def restored_with(self, value: Any) -> Self:
        """Return a copy whose value is in place."""
        return self._copy_with(value, None)

    def without_value(self) -> Self:
        """Return a copy without value and reference."""
        return self._copy_with(None, None)

    def with_loader(self, loader: Loader) -> Self:
        """Return a copy whose `load` calls ``loader``."""
        binding = self._binding or _Binding(self.content)
        return self._copy_with(self._value, self._blob_ref, replace(binding, loader=loader))

    def _copy_with(self, value: Any, blob_ref: str | None, binding: _Binding | None = None) -> Self:
        copied = type(self)(value, blob_ref=blob_ref)
        copied._binding = binding or self._binding or _Binding(self.content)
        return copied

    # Python's protocols

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
        return self._copy_with(self._value, self._blob_ref)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return self._copy_with(copy.deepcopy(self._value, memo), self._blob_ref)

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[Any, ...]]:
        return _rebuild, (type(self), self._value, self._blob_ref)

    # Pydantic's protocol

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
            return cls(value, blob_ref=given.get("blob_ref"))._bind(binding)

        def adopt(
            value: Any, validate: core_schema.ValidatorFunctionWrapHandler
        ) -> OffloadableField[Any]:
            if not is_field(value):
                return read(validate(value))
            own = value._binding
            if own is not None and own.content is binding.content:
                return value
            if value._value is None:
                return value._bind(binding)
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
            if info.mode != "json" or binding.content.has_platform_form(value.value):
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

    def _bind(self, binding: _Binding) -> Self:
        return self._copy_with(self._value, self._blob_ref, binding)

    @property
    def _title(self) -> str:
        return f"field {self.name!r}" if self.name else "an OffloadableField"

    def _require_no_workflow(self, call: str) -> None:
        if in_workflow_code():
            raise workflow_code_error(
                f"{call} of {self._title} was called in workflow code, where its value may be "
                "missing: pass the field on to an activity unchanged, and call it there. Put "
                "values that the workflow itself needs into ordinary fields of the model",
                self.name,
            )


class OffloadableModel(BaseModel):
    """Base class of pydantic models that have fields of type ``OffloadableField[…]``.

    This package handles the offloadable fields of any pydantic model; workers that run the official
    SDK handle only those of models with this base class.
    """

    # Infinity and NaN are preserved in place, as in a blob.
    model_config = ConfigDict(ser_json_inf_nan="constants")


def is_field(value: object) -> TypeGuard[OffloadableField[Any]]:
    """Return True if a value is an offloadable field."""
    return isinstance(value, OffloadableField)


def _from_base64(text: str, content: FieldContent) -> Any:
    try:
        return content.accept_bytes(base64.b64decode(text, validate=True))
    except (binascii.Error, PayloadDecodeError) as error:
        raise ValueError(f"value_base64: {error}") from error


def _rebuild(cls: type[OffloadableField[Any]], value: Any, blob_ref: str | None) -> Any:
    return cls(value, blob_ref=blob_ref)


# Serializes fields outside of a model by the type of their value.
OffloadableField.__pydantic_serializer__ = TypeAdapter(OffloadableField[Any]).serializer  # type: ignore[attr-defined]
