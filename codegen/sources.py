"""The async source modules, read once, and problems found in them."""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import NamedTuple

import tokenize_rt  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]

FOLDER_NAMES: Mapping[str, str] = {"_async": "_sync"}


class Pair(NamedTuple):
    """A source folder and the target folder of its translation."""

    source: str
    target: str


class Token(NamedTuple):
    """A token of source text; the texts of all tokens joined are the source."""

    kind: str
    text: str
    line: int
    column: int


class Problem(NamedTuple):
    """A problem and its place."""

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}" if self.line else self.message


class RefusedError(Exception):
    """The sources cannot be translated; ``problems`` lists all problems found."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__("\n".join(map(str, problems)))
        self.problems = problems


@dataclass(frozen=True)
class Source:
    """One async module; paths are relative to the repository, with forward slashes."""

    path: str
    target: str
    text: str
    tree: ast.Module
    tokens: Sequence[Token]

    @property
    def names(self) -> Iterator[Token]:
        """The NAME tokens, including keywords."""
        return (token for token in self.tokens if token.kind == "NAME")

    def is_docstring(self, token: Token) -> bool:
        """Return True for a string that is a statement: a docstring of anything or an attribute."""
        return token.kind == "STRING" and (token.line, token.column) in self._docstring_offsets

    @cached_property
    def _docstring_offsets(self) -> set[tuple[int, int]]:
        return {
            (node.lineno, node.col_offset)
            for node in ast.walk(self.tree)
            if isinstance(node, ast.Expr)
            and isinstance(node.value, ast.Constant)
            and isinstance(node.value.value, str)
        }

    def problem(self, line: int, message: str) -> Problem:
        """Return a problem in this file."""
        return Problem(self.path, line, message)


def read_sources(root: Path, pairs: Iterable[Pair]) -> list[Source]:
    """Read every module of the source folders.

    Raises:
        RefusedError: a folder is missing, or a file in it cannot be translated.
    """
    sources: list[Source] = []
    problems: list[Problem] = []
    for pair in pairs:
        if not (root / pair.source).is_dir():
            problems.append(Problem(pair.source, 0, f"{pair.source}: no such folder"))
        for name in list_files(root / pair.source):
            path, target = f"{pair.source}/{name}", f"{pair.target}/{name}"
            try:
                sources.append(_read_source(root, path, target, name))
            except RefusedError as refused:
                problems.extend(refused.problems)
    if problems:
        raise RefusedError(problems)
    return sources


def list_files(folder: Path) -> list[str]:
    """Return every file below a folder, sorted, without caches and hidden files."""
    found = (path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    return sorted(
        path.as_posix()
        for path in found
        if not any(part == "__pycache__" or part.startswith(".") for part in path.parts)
    )


def tokenize(text: str) -> list[Token]:
    """Split a text into tokens, each f-string as one STRING.

    Python 3.12 and later also tokenize the inside of an f-string. Joining these tokens makes the
    result the same on every version.
    """
    tokens: list[Token] = []
    parts: list[Token] = []
    depth = 0
    for kind, part, line, column in tokenize_rt.src_to_tokens(text):
        depth += kind == "FSTRING_START"
        parts.append(Token(kind, part, line or 1, column or 0))
        depth -= kind == "FSTRING_END"
        if depth == 0:
            tokens.append(parts[0] if len(parts) == 1 else _join(parts))
            parts = []
    return tokens


def _join(parts: Sequence[Token]) -> Token:
    return parts[0]._replace(kind="STRING", text="".join(part.text for part in parts))


def _read_source(root: Path, path: str, target: str, name: str) -> Source:
    if not name.endswith(".py"):
        raise RefusedError(
            [Problem(path, 1, "not a Python module; only modules can be translated")]
        )
    if "async" in name.lower():
        message = "the folder name already says async: rename the file without 'async'"
        raise RefusedError([Problem(path, 1, message)])
    text = (root / path).read_text(encoding="utf-8")
    try:
        tree = ast.parse(text)
    except SyntaxError as error:
        message = f"not valid Python: {error.msg}"
        raise RefusedError([Problem(path, error.lineno or 1, message)]) from error
    return Source(path, target, text, tree, tokenize(text))
