"""Checks of the async sources for code that would be translated wrongly."""

from __future__ import annotations

import ast
import keyword
import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import pairwise

from codegen.names import (
    async_words,
    defined_classes,
    docstring_twin,
    is_async,
    is_async_class,
)
from codegen.sources import Problem, Source

_LOOPS = frozenset({"asyncio", "anyio", "trio"})
_WORD = re.compile(r"\w+")
_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)


def find_problems(
    sources: Sequence[Source], table: Mapping[str, str], foreign: Mapping[str, str]
) -> list[Problem]:
    """Return every place in the sources that would be translated wrongly."""
    problems = list(_foreign_entries(sources, foreign))
    for source in sources:
        in_source = [
            *_imports(source),
            *_glued_keywords(source),
            *_names(source, table),
            *_fstrings(source, table),
            *_docstrings(source, table),
            *_collisions(source, table),
        ]
        problems.extend(sorted(in_source, key=lambda problem: problem.line))
    return problems


def _foreign_entries(sources: Sequence[Source], foreign: Mapping[str, str]) -> Iterator[Problem]:
    used = {token.text for source in sources for token in source.names}
    for name in sorted(foreign.keys() - used):
        yield Problem("", 0, f"FOREIGN_NAMES: no source uses {name!r}; remove the entry")
    for source in sources:
        for name in sorted(defined_classes(source) & foreign.keys()):
            message = f"class {name} is defined here, so FOREIGN_NAMES must not list it"
            yield source.problem(1, message)


def _imports(source: Source) -> Iterator[Problem]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and not node.level:
            modules = [node.module or ""]
        else:
            continue
        for module in modules:
            if module.split(".")[0] in _LOOPS:
                message = (
                    f"imports {module}; code that differs between async and sync belongs outside "
                    "this folder"
                )
                yield source.problem(node.lineno, message)


def _glued_keywords(source: Source) -> Iterator[Problem]:
    # unasync drops the token after the keyword, assuming it is a space.
    for token, following in pairwise(source.tokens):
        if token.text in ("async", "await") and following.kind != "UNIMPORTANT_WS":
            message = f"no space after {token.text!r}; run ruff format on the source"
            yield source.problem(token.line, message)


def _names(source: Source, table: Mapping[str, str]) -> Iterator[Problem]:
    for token in source.names:
        twin = table.get(token.text)
        if twin is None and is_async_class(token.text):
            message = f"{token.text} is defined in no source; add it to FOREIGN_NAMES"
            yield source.problem(token.line, message)
        elif twin is not None and (keyword.iskeyword(twin) or not twin.strip("_")):
            yield source.problem(
                token.line, f"{token.text} would become {twin!r}, which is not a valid name"
            )


def _fstrings(source: Source, table: Mapping[str, str]) -> Iterator[Problem]:
    # f-strings are not translated, so that every Python version generates the same text; see
    # `sources.tokenize`.
    for fstring in _outer_fstrings(source.tree):
        fields = (node for node in ast.walk(fstring) if isinstance(node, ast.FormattedValue))
        words = {word for field in fields for word in _WORD.findall(ast.unparse(field.value))}
        for word in sorted(words):
            if word in table or is_async(word):
                message = f"{word!r} inside an f-string; assign it to a variable first"
                yield source.problem(fstring.lineno, message)


def _outer_fstrings(node: ast.AST) -> Iterator[ast.JoinedStr]:
    # Before Python 3.12 only the outermost f-string has a line number.
    if isinstance(node, ast.JoinedStr):
        yield node
        return
    for child in ast.iter_child_nodes(node):
        yield from _outer_fstrings(child)


def _docstrings(source: Source, table: Mapping[str, str]) -> Iterator[Problem]:
    for token in source.tokens:
        if source.is_docstring(token):
            text = docstring_twin(token.text, table)
            for match in async_words(text):
                line = token.line + text.count("\n", 0, match.start())
                message = f"docstring says {match[0]!r}, which is not true of the sync twin"
                yield source.problem(line, message)


def _collisions(source: Source, table: Mapping[str, str]) -> Iterator[Problem]:
    for scope in ast.walk(source.tree):
        if isinstance(scope, (ast.Module, *_SCOPES)):
            owners: dict[str, tuple[str, str]] = {}
            for name, module, line in _bound_names(scope):
                twin = table.get(name, name)
                owner, owner_module = owners.setdefault(twin, (name, module))
                # A pair foo_async/foo imported from one module becomes a single import.
                if owner != name and not (module and module == owner_module):
                    message = f"{owner} and {name} would both be called {twin}"
                    yield source.problem(line, message)


def _bound_names(scope: ast.AST) -> Iterator[tuple[str, str, int]]:
    """Yield the names a scope binds: name, the module it is imported from, line."""
    for node in _own_nodes(scope):
        if isinstance(node, _SCOPES):
            yield node.name, "", node.lineno
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            yield node.id, "", node.lineno
        elif isinstance(node, ast.arg):
            yield node.arg, "", node.lineno
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.asname or alias.name.split(".")[0], "", node.lineno
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            for alias in node.names:
                yield alias.asname or alias.name, module, node.lineno
    if isinstance(scope, ast.ClassDef):
        yield from _self_attributes(scope)


def _own_nodes(scope: ast.AST) -> Iterator[ast.AST]:
    for child in ast.iter_child_nodes(scope):
        yield child
        if not isinstance(child, _SCOPES):
            yield from _own_nodes(child)


def _self_attributes(scope: ast.ClassDef) -> Iterator[tuple[str, str, int]]:
    for node in ast.walk(scope):
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Store)
            and isinstance(node.value, ast.Name)
            and node.value.id == "self"
        ):
            yield node.attr, "", node.lineno
