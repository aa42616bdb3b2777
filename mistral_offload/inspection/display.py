"""A value made readable: pretty JSON, text or hex digits, cut at a size. No I/O."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.jsontext import load_json

_HEX_BYTES = 256
_LINE_BYTES = 16
_PRETTY = json.JSONEncoder(indent=2, ensure_ascii=False)


class Form(str, Enum):
    """What a value turned out to be."""

    JSON = "json"
    TEXT = "text"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class Shown:
    """A value for people.

    Attributes:
        form: what it is.
        text: its beginning, at most as long as was allowed; hex digits and characters for bytes.
        is_cut: whether there is more of it.
        value: what the JSON says; None for other forms.
    """

    form: Form
    text: str
    is_cut: bool
    value: Any = None


def show_value(data: bytes, *, limit: int | None) -> Shown:
    """A decoded value; ``limit`` is in bytes of the text, None for all of it."""
    try:
        value = load_json(data)
        text, is_cut = _join(_PRETTY.iterencode(value), limit)
    except (PayloadDecodeError, ValueError, RecursionError):  # the last two from the writer
        return show_bytes(data, limit=limit)
    return Shown(Form.JSON, text, is_cut, value)


def show_bytes(data: bytes, *, limit: int | None) -> Shown:
    """Bytes as they are: as text if they are UTF-8, else the first of them in hex digits."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        shown = data if limit is None else data[: min(limit, _HEX_BYTES)]
        return Shown(Form.BYTES, "\n".join(_hex_lines(shown)), len(shown) < len(data))
    cut, is_cut = _join(iter([text]), limit)
    return Shown(Form.TEXT, cut, is_cut)


def _join(pieces: Iterator[str], limit: int | None) -> tuple[str, bool]:
    """As many of the pieces as fit, so that a large value is not written whole to be cut."""
    if limit is None:
        return "".join(pieces), False
    taken: list[str] = []
    left = limit
    for piece in pieces:
        written = piece.encode()
        if len(written) > left:
            taken.append(written[:left].decode(errors="ignore"))  # it may go through a character
            return "".join(taken), True
        taken.append(piece)
        left -= len(written)
    return "".join(taken), False


def _hex_lines(data: bytes) -> Iterator[str]:
    for start in range(0, len(data), _LINE_BYTES):
        line = data[start : start + _LINE_BYTES]
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in line)
        yield f"{start:08x}  {line.hex(' '):<{_LINE_BYTES * 3}} {letters}"
