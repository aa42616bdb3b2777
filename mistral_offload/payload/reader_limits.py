"""Limits of JSON readers: nesting and digits beyond which text that is JSON is not read.

The limits are those of pydantic-core's reader, which this package, the official SDK and Temporal's
own pydantic converter use. Its writer has wider ones.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import NamedTuple

from pydantic_core import from_json

from mistral_offload.errors import PayloadSerializationError
from mistral_offload.payload.members import format_path

MAX_JSON_DEPTH = 200
"""Levels of arrays and objects that are read."""

MAX_INTEGER_DIGITS = 4300
"""Digits of an integer that are read; Python's own limit, too."""

_SAMPLE_STEP = 32

_AS_ARRAYS = bytes.maketrans(b"{}", b"[]")
_NO_BRACKETS = bytes(code for code in range(256) if code not in b"[]{}")
_NO_STRUCTURE = bytes(code for code in range(256) if code not in b'[]{}"')
_DIGITS_AS_ZEROS = bytes(ord("0") if code in b"0123456789" else 0 for code in range(256))
_ZEROS = b"0" * (MAX_INTEGER_DIGITS // _SAMPLE_STEP)

_STRING = re.compile(rb'"[^"]*"')
_TOKEN = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{},]|[^\s\[\]{},:"]+', re.DOTALL)


def require_readable(data: bytes, *, nests: bool = True) -> None:
    """Check that JSON text is within the limits of readers.

    Args:
        data: the text.
        nests: False if the type of the value bounds its depth, which is not checked then.

    Raises:
        PayloadSerializationError: it is nested more deeply, or has an integer of more digits; the
            error names the member.
    """
    if nests and len(data) > 2 * MAX_JSON_DEPTH and _may_be_too_deep(data):
        depth, path = deepest(data)
        if depth > MAX_JSON_DEPTH:
            raise too_deep(path, depth)
    if len(data) > MAX_INTEGER_DIGITS and _may_have_long_integer(data):
        try:
            from_json(data)
        except ValueError:
            for token in _tokens(data):
                digits = len(token.text.lstrip(b"-"))
                if digits > MAX_INTEGER_DIGITS and token.text[-1:].isdigit():
                    raise _too_long(token.path, digits) from None


def deepest(data: bytes) -> tuple[int, list[str]]:
    """Return the number of levels of JSON text, and if they are too many, the deepest path."""
    depth = _depth(data)
    if depth <= MAX_JSON_DEPTH:
        return depth, []
    return depth, next(token.path for token in _tokens(data) if token.depth == depth)


def too_deep(path: list[str], depth: int | None = None) -> PayloadSerializationError:
    """Return the error for a value that is nested too deeply.

    Args:
        path: names of members on the way to the deepest level.
        depth: number of levels; None if it is only known that the writer gave up.
    """
    levels = depth or f"more than {MAX_JSON_DEPTH}"
    where = f"{format_path(path)}: " if path else ""
    return PayloadSerializationError(
        f"{where}the JSON is nested {levels} levels deep; readers accept at most {MAX_JSON_DEPTH}",
        path=path,
    )


def _too_long(path: list[str], digits: int) -> PayloadSerializationError:
    where = f"{format_path(path)}: " if path else ""
    return PayloadSerializationError(
        f"{where}an integer has {digits:,} digits; readers accept at most {MAX_INTEGER_DIGITS:,}. "
        "Send it as text",
        path=path,
    )


def _may_be_too_deep(data: bytes) -> bool:
    """Return True unless the brackets alone, those in strings included, show that it is not."""
    depth = _count_levels(data.translate(_AS_ARRAYS, _NO_BRACKETS))
    return depth is None or depth > MAX_JSON_DEPTH


def _depth(data: bytes) -> int:
    """Return the number of levels of JSON text."""
    if b"\\" in data:
        data = data.replace(rb"\\", b"").replace(rb"\"", b"")
    # Empty strings go first: what remains has brackets in it, and there is little of that.
    structure = data.translate(_AS_ARRAYS, _NO_STRUCTURE).replace(b'""', b"")
    return _count_levels(_STRING.sub(b"", structure)) or 0


def _count_levels(brackets: bytes) -> int | None:
    """Return the levels of nested brackets; None if they are not balanced."""
    levels = 0
    while brackets:
        outer = brackets.replace(b"[]", b"")
        if len(outer) == len(brackets):
            return None
        brackets, levels = outer, levels + 1
    return levels


def _may_have_long_integer(data: bytes) -> bool:
    """Return True if a run of digits over the limit is possible, in a string or not."""
    return _ZEROS in data[::_SAMPLE_STEP].translate(_DIGITS_AS_ZEROS)


class _Token(NamedTuple):
    text: bytes
    path: list[str]
    depth: int


def _tokens(data: bytes) -> Iterator[_Token]:
    """Yield the tokens of valid JSON text, each with its path. For errors only: it is slow."""
    path: list[str | int | None] = []  # per level: name in an object, None before it, or a position
    for match in _TOKEN.finditer(data):
        text = match.group()
        if text in (b"{", b"["):
            path.append(None if text == b"{" else 0)
        elif text in (b"}", b"]"):
            path.pop()
        elif text == b",":
            place = path[-1]
            path[-1] = place + 1 if isinstance(place, int) else None
        elif path and path[-1] is None:
            path[-1] = text[1:-1].decode(errors="replace")
            continue
        yield _Token(text, [str(name) for name in path if name is not None], len(path))
