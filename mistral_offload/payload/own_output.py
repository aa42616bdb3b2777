"""Reading of what pydantic writes for a type, where the type itself would refuse it.

Computed fields are written, and then refused by a model that forbids extra members, or kept beside
the property by one that allows them. The value of a ``Json`` field is written as it is, but only
accepted as text.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast
from weakref import WeakKeyDictionary

from pydantic import BaseModel, TypeAdapter, ValidationError

from mistral_offload.payload.jsontext import dump_json, load_json
from mistral_offload.payload.members import members_of

_JSON_FIELD = "json_type"
_KINDS = frozenset({"extra_forbidden", "unexpected_keyword_argument", _JSON_FIELD})
_CLASSES = frozenset({"model-fields", "dataclass-args", "typed-dict"})


def validate_json(adapter: TypeAdapter[Any], data: bytes, **options: Any) -> Any:
    """Validate JSON text as ``adapter.validate_json`` does, and accept what the type writes.

    The first attempt costs what it always does; more is done only if the text is refused, or if a
    model would keep its computed fields as extra members.

    Args:
        adapter: adapter of the type.
        data: the text.
        options: passed on to the adapter.

    Raises:
        ValidationError: the text is not JSON, or not of the type.
    """
    try:
        value = adapter.validate_json(data, **options)
    except ValidationError as error:
        accepted = _accepted_form(adapter, data, error)
        if accepted is None:
            raise
    else:
        if _keeps_computed(adapter):
            _forget_computed(value)
        return value
    return adapter.validate_json(accepted, **options)


def _accepted_form(adapter: TypeAdapter[Any], data: bytes, error: ValidationError) -> bytes | None:
    """Return refused JSON text in the form that its type accepts; None if there is none.

    Args:
        adapter: adapter of the type.
        data: the text.
        error: the reasons why it was refused.
    """
    problems = [
        (item["type"], item["loc"])
        for item in error.errors(include_input=False, include_url=False, include_context=False)
        if item["type"] in _KINDS
    ]
    if not problems:
        return None
    computed = _computed_names(adapter.core_schema)
    root = [load_json(data)]  # a container of the document, so that everything has a container
    changed = False
    for kind, location in problems:
        container, key = _find(root, location)
        if kind == _JSON_FIELD:
            if not isinstance(container[key], str):
                container[key] = dump_json(container[key]).decode()
                changed = True
        elif key == location[-1] and key in computed:
            del container[key]
            changed = True
    return dump_json(root[0]) if changed else None


def _find(root: list[Any], location: tuple[int | str, ...]) -> tuple[Any, Any]:
    """Return the container and the key of the member at a location, as far as there is one.

    Not every part of a location is a key: there are labels of a union's alternatives, for instance.
    """
    container: Any = root
    key: int | str = 0
    for part in location:
        value: Any = container[key]
        if _has(value, part):
            container, key = value, part
    return container, key


def _has(value: Any, part: int | str) -> bool:
    if isinstance(value, dict):
        return part in value
    length = len(cast("Any", value)) if isinstance(value, list) else 0
    return isinstance(part, int) and part < length


def _keeps_computed(adapter: TypeAdapter[Any]) -> bool:
    """Return True if a class allows extra members, and a class has computed fields."""
    known = _KEEPING.get(adapter)
    if known is None:
        parts = list(_schema_parts(adapter.core_schema))
        known = _KEEPING[adapter] = any(part.get("computed_fields") for part in parts) and any(
            part.get("extra_fields_behavior") == "allow" for part in parts
        )
    return known


_KEEPING: WeakKeyDictionary[TypeAdapter[Any], bool] = WeakKeyDictionary()


def _forget_computed(value: Any) -> None:
    """Remove the computed fields from the extra members of every model in a value."""
    if isinstance(value, BaseModel) and value.__pydantic_extra__:
        for name, field in type(value).model_computed_fields.items():
            key = field.alias or name
            value.__pydantic_extra__.pop(key, None)
            value.__pydantic_fields_set__.discard(key)
    for member in members_of(value):
        _forget_computed(member.value)


def _computed_names(schema: Any) -> set[str]:
    """Return the names, in JSON, of the computed fields of every class in a schema."""
    return {
        field.get("alias") or field["property_name"]
        for part in _schema_parts(schema)
        if part.get("type") in _CLASSES
        for field in part.get("computed_fields") or ()
    }


def _schema_parts(schema: Any) -> Iterator[dict[str, Any]]:
    """Yield the dicts in a core schema."""
    pending: list[Any] = [schema]
    seen: set[int] = set()
    while pending:
        part = pending.pop()
        if id(part) in seen:  # defaults are part of a schema, and may contain themselves
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            members = cast("dict[str, Any]", part)
            yield members
            pending.extend(members.values())
        elif isinstance(part, list | tuple):
            pending.extend(cast("list[Any]", part))
