"""Translation of names from async code to its sync twin."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Mapping

import unasync  # pyright: ignore[reportMissingTypeStubs]

from codegen.sources import FOLDER_NAMES, Source

SUFFIX = "_async"

_ASYNC_CLASS = re.compile(r"(_*)Async(?=[A-Z])")
_ASYNC_WORD = re.compile(r"async|Async|ASYNC|await|Await|coroutine|Coroutine")
_ASYNC_METHOD = re.compile(r"aclose|aiter|aiter_\w+|anext|aread|asend|athrow")

_DOC_AWAIT = re.compile(r"\bawait (?=[\w.]+\()")
_DOC_ASYNC = re.compile(r"\basync (?=(?:with|for|def) )")
_DOC_NAME = re.compile(r"\b[A-Za-z_]\w*")
_DOC_ASYNC_WORD = re.compile(r"\w*(?:(?<![a-z])(?:async|await|coroutine)|Async|Await)\w*", re.ASCII)


def rename_table(sources: Iterable[Source], foreign: Mapping[str, str]) -> dict[str, str]:
    """Return all renames, computed from the names the sources use and the classes they define."""
    table = names_of_unasync()
    for source in sources:
        used = {token.text for token in source.names}
        table.update({name: _without_suffix(name) for name in used if name.endswith(SUFFIX)})
        table.update({name: _ASYNC_CLASS.sub(r"\1Sync", name) for name in defined_classes(source)})
    return {**table, **foreign}


def names_of_unasync() -> dict[str, str]:
    """Return the renames built into unasync."""
    return dict(unasync.Rule("", "").token_replacements)


def defined_classes(source: Source) -> set[str]:
    """Return the classes named ``AsyncXyz`` or ``_AsyncXyz`` that a module defines."""
    classes = (node.name for node in ast.walk(source.tree) if isinstance(node, ast.ClassDef))
    return {name for name in classes if is_async_class(name)}


def is_async_class(name: str) -> bool:
    """Return True for a name like ``AsyncXyz``; unasync renames every one to ``SyncXyz``."""
    return _ASYNC_CLASS.match(name) is not None


def is_async(name: str) -> bool:
    """Return True for a name that must not occur in sync code."""
    return bool(_ASYNC_WORD.search(name) or _ASYNC_METHOD.fullmatch(name))


def docstring_twin(text: str, table: Mapping[str, str]) -> str:
    """Return a docstring with its names and examples translated."""
    text = _DOC_ASYNC.sub("", _DOC_AWAIT.sub("", text))
    return _DOC_NAME.sub(lambda match: table.get(match[0], match[0]), text)


def async_words(docstring: str) -> Iterable[re.Match[str]]:
    """Yield the words in a docstring that are not true of sync code."""
    return _DOC_ASYNC_WORD.finditer(docstring)


def _without_suffix(name: str) -> str:
    return FOLDER_NAMES.get(name, name.removesuffix(SUFFIX))
