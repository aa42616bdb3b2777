"""JSON on stdout, safe to show on a terminal. Imports only the standard library."""

from __future__ import annotations

import json
import re
import shutil
import sys
import tempfile
from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

# C0 (but newline and tab), C1, marks that change the direction of text, line separators, and lone
# surrogates, which cannot be printed at all.
_CONTROLS = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def escape_controls(text: str) -> str:
    r"""Escape the characters that could control a terminal as ``\uXXXX``.

    In a JSON document the escaped text means the same.
    """
    return _CONTROLS.sub(lambda match: f"\\u{ord(match[0]):04x}", text)


def write_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    text = json.dumps(document, indent=2, ensure_ascii=False, default=_plain)
    sys.stdout.write(escape_controls(text) + "\n")
    sys.stdout.flush()


def write_json_list(documents: Iterable[Any]) -> None:
    """Print a JSON list on stdout, one document a line, after the last of them was produced.

    Until then they are kept in a temporary file: there may be millions of them, and after a failure
    stdout must hold none.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as buffer:
        separator = "["
        for document in documents:
            text = json.dumps(document, ensure_ascii=False, default=_plain)
            buffer.write(f"{separator}\n  {text}")
            separator = ","
        buffer.write("[]\n" if separator == "[" else "\n]\n")
        buffer.seek(0)
        shutil.copyfileobj(buffer, sys.stdout)
    sys.stdout.flush()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")
