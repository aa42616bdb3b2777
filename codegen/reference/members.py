"""Public functions, methods, properties and fields, each as Markdown."""

from __future__ import annotations

import functools
import inspect
import re
from collections.abc import Iterator, Mapping
from enum import Enum
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic_core import PydanticUndefined

from codegen.reference.docstrings import Link, code, inline, to_markdown
from mistral_offload.client import models

PACKAGE = "mistral_offload"
_WIDTH = 92
_PROPERTIES: tuple[type[Any], ...] = (property, functools.cached_property)

_SHOWN_TYPES: Mapping[str, str] = {
    "_Credential": "SecretStr",
    "_ConnectionString": "SecretStr",
    "ByteSize": "size",
}
"""Internal names of types, and the ones that a reader knows."""


def heading(level: int, name: str) -> str:
    """Return a heading for a name, of which the anchor is the name in lower case."""
    return f"{'#' * level} `{name}`"


def docstring(item: object) -> str:
    """Return a docstring of ours; an inherited or a generated one is none."""
    text = item.__doc__ if isinstance(item, property) else getattr(item, "__doc__", None)
    return inspect.cleandoc(text) if text else ""


def signature(name: str, function: Any, *, bound: bool) -> str:
    """Return a signature as Python text, over several lines if it is long.

    Args:
        name: the name to show.
        function: the function or class.
        bound: True to leave out the first parameter.
    """
    found = inspect.signature(function)
    parameters = list(found.parameters.values())[bound:]
    shown: list[str] = []
    for position, each in enumerate(parameters):
        before = parameters[position - 1].kind if position else None
        keyword_only = each.kind is each.KEYWORD_ONLY
        if keyword_only and before not in (each.KEYWORD_ONLY, each.VAR_POSITIONAL):
            shown.append("*")
        if before is each.POSITIONAL_ONLY and each.kind is not each.POSITIONAL_ONLY:
            shown.append("/")
        shown.append(_parameter(each))
    returned = found.return_annotation
    ending = (
        "" if returned is found.empty or inspect.isclass(function) else f" -> {_type(returned)}"
    )
    one_line = f"{name}({', '.join(shown)}){ending}"
    if len(one_line) <= _WIDTH:
        return one_line
    return "\n".join([f"{name}(", *(f"    {each}," for each in shown), f"){ending}"])


def _parameter(parameter: inspect.Parameter) -> str:
    stars = "*" * (parameter.kind is parameter.VAR_POSITIONAL)
    stars += "**" * (parameter.kind is parameter.VAR_KEYWORD)
    text = f"{stars}{parameter.name}"
    if parameter.annotation is not parameter.empty:
        text += f": {_type(parameter.annotation)}"
    if parameter.default is not parameter.empty:
        equals = "=" if parameter.annotation is parameter.empty else " = "
        value = default(parameter.default)
        if value == "<factory>":  # of a dataclass
            value = f"{_type(parameter.annotation)}()"
        text += equals + value
    return text


def _type(annotation: object) -> str:
    text = annotation if isinstance(annotation, str) else inspect.formatannotation(annotation)
    text = re.sub(r"\bUnset \| | \| Unset\b", "", text)
    text = re.sub(r"\b(?!httpx)[a-z_.]+\.(?=[A-Z])", "", text)
    text = _read_type(text)
    for internal, shown in _SHOWN_TYPES.items():
        text = re.sub(rf"\b{internal}\b", shown, text)
    return text


def _read_type(text: str) -> str:
    """Return the first type of ``Converted[read, given]``, or the text."""
    if not text.startswith("Converted["):
        return text
    depth = 0
    inner = text.removeprefix("Converted[")
    for position, character in enumerate(inner):
        depth += (character == "[") - (character == "]")
        if character == "," and depth == 0:
            return inner[:position]
    return text


def default(value: object) -> str:
    """Return a default value as it is written in Python."""
    if isinstance(value, Enum):
        return repr(value.value)
    if inspect.isclass(value) or inspect.isroutine(value):
        return value.__name__
    if type(value).__repr__ is object.__repr__:
        return type(value).__name__.upper().lstrip("_")
    return repr(value)


def is_ours(item: object) -> bool:
    """Return True if something is defined in this package."""
    return str(getattr(item, "__module__", "")).startswith(PACKAGE)


def methods(kind: type) -> dict[str, Any]:
    """Return the public methods and properties of a class of ours, by name and in source order.

    Those of its generic bases that are ours as well are included; a class that is documented
    elsewhere is not a base in this sense.
    """
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if is_ours(base):
            for name, item in vars(base).items():
                if not name.startswith("_") and _is_method(item):
                    found[name] = item
    order = {name: number for number, name in enumerate(found)}
    return dict(sorted(found.items(), key=lambda each: (_line(each[1]), order[each[0]])))


def own_methods(kind: type) -> dict[str, Any]:
    """Return the public methods and properties that a class itself defines."""
    return {
        name: item
        for name, item in vars(kind).items()
        if not name.startswith("_") and _is_method(item)
    }


def _is_method(item: object) -> bool:
    wrapped = item.fget if isinstance(item, property) else getattr(item, "__func__", item)
    return (inspect.isfunction(wrapped) or isinstance(item, _PROPERTIES)) and (
        bool(docstring(item))
    )


def _line(item: Any) -> tuple[str, int]:
    item = item.fget if isinstance(item, property) else item
    item = getattr(item, "func", getattr(item, "__func__", item))
    item = inspect.unwrap(item)
    # A twin stands at its source's place.
    return Path(item.__code__.co_filename).name, item.__code__.co_firstlineno


def method_sections(
    members: Mapping[str, Any], level: int, link: Link, *, has_twins: bool = False
) -> Iterator[str]:
    """Yield a section for each method; the two forms of one method share a section.

    Args:
        members: methods and properties by name.
        level: level of the headings.
        link: links the name of an error.
        has_twins: True where every method has both forms, and the page says so once.
    """
    for name, item in members.items():
        if name.endswith("_async") and name.removesuffix("_async") in members:
            continue
        twin = "" if has_twins or f"{name}_async" not in members else f"{name}_async"
        yield method_section(name, item, level, link, twin=twin)


def method_section(name: str, item: Any, level: int, link: Link, *, twin: str = "") -> str:
    """Return the section of a method or property."""
    parts = [heading(level, name)]
    if isinstance(item, _PROPERTIES):
        parts.append(f"Property. {to_markdown(docstring(item), link)}")
        return "\n\n".join(parts)
    function = getattr(item, "__func__", item)
    bound = not isinstance(item, staticmethod)
    waits = inspect.iscoroutinefunction(inspect.unwrap(function))
    text = signature(name, function, bound=bound)
    parts.append(f"```pyi\n{'await ' if waits else ''}{text}\n```")
    if twin:
        parts.append(f"Also `await {twin}(…)`.")
    parts.append(to_markdown(docstring(item), link))
    if types := linked_types(text):
        parts.append(f"Types: {types}.")
    return "\n\n".join(parts)


def linked_types(text: str) -> str:
    """Return links to the models that a signature names."""
    names = dict.fromkeys(re.findall(r"\b[A-Z]\w+", text))
    described = [name for name in names if name in models.__all__ and is_described(name)]
    return ", ".join(f"[`{name}`](responses.md#{name.lower()})" for name in described)


def is_described(name: str) -> bool:
    """Return True if the page of responses has a section for a model or an enumeration."""
    item = getattr(models, name)
    if not inspect.isclass(item):
        return False
    return issubclass(item, Enum) or (issubclass(item, BaseModel) and bool(item.model_fields))


def function_section(name: str, function: Any, level: int, link: Link) -> str:
    """Return the section of a module's function."""
    waits = inspect.iscoroutinefunction(inspect.unwrap(function))
    call = f"{'await ' if waits else ''}{signature(name, function, bound=False)}"
    parts = [heading(level, name), f"```pyi\n{call}\n```", to_markdown(docstring(function), link)]
    return "\n\n".join(parts)


def fields_table(kind: type[BaseModel], *, defaults: bool = True) -> str:
    """Return the fields of a model as a table."""
    described = any(info.description for info in kind.model_fields.values())
    columns = ["field", "type", *(["default"] if defaults else []), *(["meaning"] * described)]
    rows = [columns, ["---"] * len(columns)]
    written = written_types(kind)
    for name, info in kind.model_fields.items():
        row = [code(name), _cell(code(_type(written[name])))]
        if defaults:
            value: object = info.default
            if info.default_factory is not None:
                value = info.get_default(call_default_factory=True, validated_data={})
            row.append("required" if value is PydanticUndefined else field_default(value))
        if described:
            row.append(_cell(inline(info.description or "")))
        rows.append(row)
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def written_types(kind: type) -> dict[str, Any]:
    """Return the annotations of a class and its bases, as they are written in the source."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__):
        if is_ours(base):
            found.update(inspect.get_annotations(base))
    return found


def field_default(value: object) -> str:
    """Return the default of a setting, sizes with their unit."""
    if value is None or value == ():
        return "–"
    if isinstance(value, int) and not isinstance(value, bool) and value >= 1024:
        for unit, size in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
            if value % size == 0:
                return f"{value // size} {unit}"
    if isinstance(value, float) and value.is_integer():
        return code(f"{value:,.0f}")
    if isinstance(value, BaseModel):
        return code(f"{type(value).__name__}()")
    return code(default(value))


def values(kind: type[Enum]) -> str:
    """Return the values of an enumeration as inline code."""
    return ", ".join(code(str(member.value)) for member in kind)


def _cell(text: str) -> str:
    return text.replace("|", "\\|")
