"""The page of commands, from the functions that the command line registers."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterator
from enum import Enum
from typing import Annotated, Any, get_args, get_origin

import typer
from typer.models import ArgumentInfo, OptionInfo

from codegen.reference.docstrings import inline
from mistral_offload.cli.app import app

NAME = "mistral-offload"


def commands_page() -> Iterator[str]:
    """Yield the parts of the page."""
    yield (
        "The command `mistral-offload` needs the extra `cli`, and the extras of what it looks at: "
        '`pip install "mistral-offload[cli,worker,s3]"`. Exit codes and common options are '
        "described in [operating it](../operating.md)."
    )
    for path, function in _commands(app, NAME):
        yield f"## `{path}`"
        yield from _command(path, function)


def _commands(group: typer.Typer, path: str) -> Iterator[tuple[str, Callable[..., Any]]]:
    for command in group.registered_commands:
        if command.callback is not None and not command.hidden:
            name = command.name or command.callback.__name__.rstrip("_").replace("_", "-")
            yield f"{path} {name}", command.callback
    for inner in group.registered_groups:
        if inner.typer_instance is not None:
            yield from _commands(inner.typer_instance, f"{path} {inner.name}")


def _command(path: str, function: Callable[..., Any]) -> Iterator[str]:
    # Not get_type_hints, which in Python 3.10 wraps what has the default None in an Optional.
    hints: dict[str, Any] = inspect.get_annotations(function, eval_str=True)
    usage = [path]
    rows = ["| option | default | meaning |", "| --- | --- | --- |"]
    for name, parameter in inspect.signature(function).parameters.items():
        hint = hints[name]
        if get_origin(hint) is not Annotated:
            continue
        kind, info = get_args(hint)[:2]
        if isinstance(info, ArgumentInfo):
            shown = info.metavar or name.upper()
            usage.append(shown if parameter.default is parameter.empty else f"[{shown}]")
            rows.append(f"| `{shown}` | {_default(parameter, kind)} | {_cell(info.help)} |")
        elif isinstance(info, OptionInfo) and not info.hidden:
            shown = _option(name, kind, info)
            rows.append(f"| `{shown}` | {_default(parameter, kind)} | {_cell(info.help)} |")
    yield f"```sh\n{' '.join(usage)} [OPTIONS]\n```"
    for paragraph in inspect.cleandoc(function.__doc__ or "").split("\n\n"):
        yield inline(paragraph)
    yield "\n".join(rows).replace("\x00", "\\|")


def _option(name: str, kind: Any, info: OptionInfo) -> str:
    # In an annotation, typer takes the first name for the default.
    given = (info.default, *(info.param_decls or ()))
    names = [each for each in given if isinstance(each, str) and each.startswith("-")]
    shown = ", ".join(names) or f"--{name.replace('_', '-')}"
    if _plain(kind) is bool:
        return shown
    metavar = info.metavar or _metavar(_plain(kind))
    return f"{shown} {metavar}".replace("|", "\x00")


def _plain(kind: Any) -> Any:
    """Return the type of one value, without None and lists."""
    inner = [each for each in get_args(kind) if each is not type(None)]
    return _plain(inner[0]) if inner and not isinstance(inner[0], str) else kind


def _metavar(kind: Any) -> str:
    if choices := [each for each in get_args(kind) if isinstance(each, str)]:
        return "|".join(choices)
    if inspect.isclass(kind) and issubclass(kind, Enum):
        return "|".join(str(member.value) for member in kind)
    if kind in (int, float):
        return "N"
    return "TEXT" if kind is str else "FILE"


def _default(parameter: inspect.Parameter, kind: Any) -> str:
    value = parameter.default
    if value is parameter.empty:
        return "required"
    if value is None or value is False or value in ((), []):
        return "–"
    if value is True:
        return "on"
    if isinstance(value, Enum):
        value = value.value
    return f"`{value:,}`" if isinstance(value, int) and value > 65_535 else f"`{value}`"


def _cell(text: str | None) -> str:
    return inline(text or "").replace("|", "\\|")
