"""Reading of what pydantic writes for a type, where the type itself would refuse it.

Two kinds of members are written that the same model does not accept: a computed field, if the model
forbids extra members, and the value of a ``Json`` field, which is accepted as text only.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from pydantic import TypeAdapter, ValidationError

from mistral_offload.payload.jsontext import dump_json, load_json

_JSON_FIELD = "json_type"
_KINDS = frozenset({"extra_forbidden", "unexpected_keyword_argument", _JSON_FIELD})
_CLASSES = frozenset({"model-fields", "dataclass-args", "typed-dict"})


def validate_json(adapter: TypeAdapter[Any], data: bytes, **options: Any) -> Any:
    """Validate JSON text as ``adapter.validate_json`` does, and accept what the type writes.

    The first attempt costs what it always does; more is done only if the text is refused.

    Args:
        adapter: adapter of the type.
        data: the text.
        options: passed on to the adapter.

    Raises:
        ValidationError: the text is not JSON, or not of the type.
    """
    try:
        return adapter.validate_json(data, **options)
    except ValidationError as error:
        accepted = accepted_form(adapter, data, error)
        if accepted is None:
            raise
    return adapter.validate_json(accepted, **options)


def accepted_form(adapter: TypeAdapter[Any], data: bytes, error: ValidationError) -> bytes | None:
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
    computed = set(_computed_names(adapter.core_schema))
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
        value = container[key]
        if isinstance(value, dict):
            has = part in value
        else:
            items: Any = value if isinstance(value, list) else ()
            has = isinstance(part, int) and part < len(items)
        if has:
            container, key = value, part
    return container, key


def _computed_names(schema: Any) -> Iterator[str]:
    """Yield the names, in JSON, of the computed fields of every class in a schema."""
    pending: list[Any] = [schema]
    seen: set[int] = set()
    while pending:
        part = pending.pop()
        if id(part) in seen:  # defaults are part of a schema, and may contain themselves
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            members = cast("dict[str, Any]", part)
            if members.get("type") in _CLASSES:
                for field in members.get("computed_fields") or ():
                    yield field.get("alias") or field["property_name"]
            pending.extend(members.values())
        elif isinstance(part, list | tuple):
            pending.extend(cast("list[Any]", part))
