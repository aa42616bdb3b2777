"""Values formatted for people: indented JSON, text or a hex dump, truncated at a size. No I/O."""

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
    """The kind of content that a value turned out to be."""

    JSON = "json"
    TEXT = "text"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class DisplayedValue:
    """A value formatted for people.

    Attributes:
        form: the kind of content.
        text: the beginning of the formatted value, at most as long as allowed; a hex dump for
            bytes.
        is_truncated: True if the text is not the whole value.
        value: the parsed JSON; None for other forms.
    """

    form: Form
    text: str
    is_truncated: bool
    value: Any = None


def show_value(data: bytes, *, limit: int | None) -> DisplayedValue:
    """Format a decoded value.

    Args:
        data: the value.
        limit: the longest text, in bytes; None for no limit.
    """
    try:
        value = load_json(data)
        text, is_truncated = _join(_PRETTY.iterencode(value), limit)
        text.encode()  # halves of surrogate pairs can be read, but not printed
    except (PayloadDecodeError, ValueError, RecursionError):  # the last two by the encoders
        return show_bytes(data, limit=limit)
    return DisplayedValue(Form.JSON, text, is_truncated, value)


def show_bytes(data: bytes, *, limit: int | None) -> DisplayedValue:
    """Format bytes as text if they are UTF-8, and as a hex dump of the first of them otherwise."""
    try:
        text = data.decode()
    except UnicodeDecodeError:
        shown = data if limit is None else data[: min(limit, _HEX_BYTES)]
        dump = "\n".join(_hex_lines(shown))
        return DisplayedValue(Form.BYTES, dump, len(shown) < len(data))
    beginning, is_truncated = _join(iter([text]), limit)
    return DisplayedValue(Form.TEXT, beginning, is_truncated)


def _join(pieces: Iterator[str], limit: int | None) -> tuple[str, bool]:
    """Join pieces up to a limit, so that a large value is not formatted whole to be truncated."""
    if limit is None:
        return "".join(pieces), False
    taken: list[str] = []
    left = limit
    for piece in pieces:
        written = piece.encode()
        if len(written) > left:
            taken.append(written[:left].decode(errors="ignore"))  # may end inside a character
            return "".join(taken), True
        taken.append(piece)
        left -= len(written)
    return "".join(taken), False


def _hex_lines(data: bytes) -> Iterator[str]:
    for start in range(0, len(data), _LINE_BYTES):
        line = data[start : start + _LINE_BYTES]
        letters = "".join(chr(byte) if 0x20 <= byte < 0x7F else "." for byte in line)
        yield f"{start:08x}  {line.hex(' '):<{_LINE_BYTES * 3}} {letters}"
