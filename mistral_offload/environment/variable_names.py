"""Names of the worker's variables, and names that look like misspelt ones."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from difflib import get_close_matches
from types import UnionType
from typing import Union, get_args, get_origin

from pydantic import BaseModel

_SEPARATOR = "__"
_MIN_SIMILARITY = 0.8
_SHORTEST = 8
"""Shorter names resemble too many others."""


def names_of(settings: type[BaseModel], *, prefix: str = "") -> Iterator[str]:
    """Yield the names of all variables of a class of settings, groups included, in upper case."""
    for field, info in settings.model_fields.items():
        name = f"{prefix}{field}".upper()
        yield name
        is_union = get_origin(info.annotation) in (Union, UnionType)
        for kind in get_args(info.annotation) if is_union else (info.annotation,):
            if isinstance(kind, type) and issubclass(kind, BaseModel):
                yield from names_of(kind, prefix=f"{name}{_SEPARATOR}")


def find_misspelt(names: Iterable[str], known: Iterable[str]) -> dict[str, str]:
    """Return variables that look like a misspelt group of known ones, each with the correct name.

    The group is the part before the first ``__``; within a group that is spelt correctly, the
    settings themselves refuse what they do not know. A single underscore instead of ``__`` is
    found as well.

    Args:
        names: names of variables, in any case.
        known: names of all settings, in upper case.
    """
    by_text = {_plain(name): name for name in known if _SEPARATOR in name}
    tops = {name.partition(_SEPARATOR)[0] for name in known}
    groups = {name.partition(_SEPARATOR)[0] for name in by_text.values()}
    found: dict[str, str] = {}
    for name in names:
        first, separator, rest = name.upper().partition(_SEPARATOR)
        if first in tops or len(first) < _SHORTEST:
            continue
        if (exact := by_text.get(_plain(name))) is not None:
            found[name] = exact
        elif separator:
            for group in get_close_matches(first, groups, n=1, cutoff=_MIN_SIMILARITY):
                meant = f"{group}{_SEPARATOR}{rest}"
                close = get_close_matches(_plain(meant), by_text, n=1, cutoff=_MIN_SIMILARITY)
                found[name] = by_text[close[0]] if close else meant
    return found


def siblings(variable: str, known: Iterable[str]) -> tuple[str, str, list[str]]:
    """Split a variable into its group and its own name; return both, and all names in the group."""
    group, separator, own = variable.rpartition(_SEPARATOR)
    pairs = [name.rpartition(_SEPARATOR) for name in known]
    return group + separator, own, [name for others, _, name in pairs if others == group]


def _plain(name: str) -> str:
    return re.sub("_+", "_", name.upper())


def describe_misspelt(misspelt: dict[str, str]) -> tuple[str, str]:
    """Return a sentence that names misspelt variables, and one with the names to use instead."""
    return (
        f"not a setting, so ignored: {', '.join(sorted(misspelt))}",
        "; ".join(f"rename to {misspelt[name]}" for name in sorted(misspelt)),
    )
