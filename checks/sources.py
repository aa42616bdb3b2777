"""The files that the checks read, and the form in which a problem is reported."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

_NOT_OURS = frozenset({"__pycache__", "node_modules", "_sync"})
"""Folders without hand-written files; ``_sync`` is generated from ``_async``."""


class Problem(NamedTuple):
    """A violated rule.

    Attributes:
        path: the file, relative to the root, with forward slashes.
        line: its line, counted from 1.
        message: the rule and, where there is one, the fix.
    """

    path: str
    line: int
    message: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.message}"


def list_files(root: Path, folders: Sequence[str], suffix: str) -> Iterator[Path]:
    """Yield the hand-written files below some folders, sorted; a folder may be missing."""
    for folder in folders:
        for path in sorted((root / folder).rglob(f"*{suffix}")):
            if not _NOT_OURS & set(path.relative_to(root).parts):
                yield path


def relative(root: Path, path: Path) -> str:
    """Return a path as `Problem` spells it."""
    return path.relative_to(root).as_posix()
