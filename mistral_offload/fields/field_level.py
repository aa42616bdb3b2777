"""The fields of a value, without those in their values, while they are being restored."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mistral_offload.fields.field import OffloadableField
from mistral_offload.payload.field_reference import FieldReference
from mistral_offload.payload.traversal import replace_instances

Found = list[tuple[str, OffloadableField[Any]]]

_FIELD: type[OffloadableField[Any]] = OffloadableField


class FieldLevel:
    """Collects the values of fields; a blob that several of them use is one reference.

    Args:
        value: the value that contains the fields.
        found: the fields with their names, in the order of `find_instances`.
        parse: parses a storage key.

    Attributes:
        references: what has to be read.
        values: the fields' values, in the order of ``found``; None until they are taken.
    """

    def __init__(self, value: Any, found: Found, parse: Callable[[str], FieldReference]) -> None:
        self.value = value
        self.found = found
        self._positions: dict[str, list[int]] = {}
        for position, (_, field) in enumerate(found):
            if field.blob_ref is not None:
                self._positions.setdefault(field.blob_ref, []).append(position)
        self.references = [parse(key) for key in self._positions]
        self.values: list[Any] = [field.value for _, field in found]

    def fields_of(self, reference: FieldReference) -> Found:
        """Return the fields that a reference is the value of."""
        return [self.found[position] for position in self._positions[reference.key]]

    def take(self, reference: FieldReference, values: Sequence[Any]) -> None:
        """Set the values of the fields that `fields_of` returns; from any thread."""
        for position, value in zip(self._positions[reference.key], values, strict=True):
            self.values[position] = value

    def with_values(self, values: Sequence[Any]) -> Any:
        """Return the whole value with its fields' values in place."""
        fields = (
            field if value is field.value else field.restored_with(value)
            for (_, field), value in zip(self.found, values, strict=True)
        )
        return replace_instances(self.value, _FIELD, fields)
