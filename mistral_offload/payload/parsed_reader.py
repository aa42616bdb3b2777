"""Validation of parsed JSON for types that read it exactly as they read its text.

Not all do: in strict models, and for bytes, dates, decimals, enums or unions, pydantic accepts or
makes something else of an object than of text.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias

from pydantic import TypeAdapter, ValidationError

_Test: TypeAlias = Callable[[Any], bool]

_SCALARS = frozenset({"bool", "int", "float", "str", "none"})
_CONFIG = frozenset({"title", "extra_fields_behavior"})
_MODEL = frozenset({"type", "cls", "schema", "custom_init", "root_model", "config", "ref"})
_FIELDS = frozenset({"type", "fields", "model_name", "computed_fields", "extra_behavior"})
_FIELD = frozenset({"type", "schema", "validation_alias", "serialization_alias"})
_WRAPPER = frozenset({"type", "schema", "default", "default_factory", "copy_default", "ref"})
_LIST = frozenset({"type", "items_schema"})
_DICT = frozenset({"type", "keys_schema", "values_schema"})


class Mismatch(Exception):
    """The value has to be read from its text, which may raise an error."""


class ParsedReader:
    """Validates parsed JSON.

    Args:
        adapter: adapter of the type.
    """

    def __init__(self, adapter: TypeAdapter[Any]) -> None:
        self._adapter = adapter
        schema: Any = adapter.core_schema
        self._is_unchanged = _unchanged_test(schema)
        self._is_exact = self._is_unchanged is not None or _reads_exactly(schema)

    def read(self, value: Any) -> Any:
        """Return the value of the type, which may be the same object.

        Raises:
            Mismatch: the type reads text differently, or not at all.
        """
        if not self._is_exact:
            raise Mismatch
        if self._is_unchanged is not None and self._is_unchanged(value):
            return value
        try:
            return self._adapter.validate_python(value)
        except ValidationError:
            raise Mismatch from None


def _unchanged_test(schema: Mapping[str, Any]) -> _Test | None:
    """Return a test for values that a type returns as they are; None if it always makes others."""
    kind, members = schema["type"], _members(schema)
    if kind == "any" and members == {"type"}:
        return lambda _: True
    if kind == "list" and members <= _LIST:
        items = schema.get("items_schema") or {"type": "any"}
        item_test = _unchanged_test(items)
        if item_test is None or items["type"] == "any":
            return item_test and (lambda value: _is(value, list))
        return lambda value: _is(value, list) and all(map(item_test, value))
    if kind == "dict" and members <= _DICT and _has_text_keys(schema):
        values = schema.get("values_schema") or {"type": "any"}
        value_test = _unchanged_test(values)
        if value_test is None or values["type"] == "any":
            return value_test and (lambda value: _is(value, dict))
        return lambda value: _is(value, dict) and all(map(value_test, value.values()))
    return None


def _reads_exactly(schema: Mapping[str, Any]) -> bool:
    """Return True if a type makes the same of parsed JSON as of its text, or refuses it."""
    kind, members = schema["type"], _members(schema)
    if kind == "any" or kind in _SCALARS:
        return members == {"type"}
    if kind == "definition-ref":
        return members == {"type", "schema_ref"}
    if kind == "definitions":
        return all(map(_reads_exactly, (schema["schema"], *schema["definitions"])))
    if kind == "list":
        return members <= _LIST and _reads_exactly(schema.get("items_schema") or {"type": "any"})
    if kind == "dict":
        values = schema.get("values_schema") or {"type": "any"}
        return members <= _DICT and _has_text_keys(schema) and _reads_exactly(values)
    if kind in ("nullable", "default"):
        return members <= _WRAPPER and _reads_exactly(schema["schema"])
    if kind == "model":
        return (
            members <= _MODEL
            and not schema.get("custom_init")
            and not schema.get("root_model")
            and set(schema.get("config") or ()) <= _CONFIG
            and _reads_exactly(schema["schema"])
        )
    if kind == "model-fields":
        fields: Mapping[str, Any] = schema["fields"]
        return (
            members <= _FIELDS
            and not schema.get("computed_fields")
            and all(
                _members(field) <= _FIELD and _reads_exactly(field["schema"])
                for field in fields.values()
            )
        )
    return False


def _is(value: Any, kind: type) -> bool:
    return type(value) is kind


def _members(schema: Mapping[str, Any]) -> set[str]:
    # Serialization and metadata say nothing about reading.
    return set(schema) - {"serialization", "metadata"}


def _has_text_keys(schema: Mapping[str, Any]) -> bool:
    keys = schema.get("keys_schema")
    return keys is None or keys == {"type": "str"} or keys == {"type": "any"}
