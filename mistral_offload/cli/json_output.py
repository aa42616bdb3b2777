"""JSON on stdout; needs nothing that is not installed."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Iterable
from datetime import datetime
from enum import Enum
from pathlib import Path
from typing import Any

from mistral_offload.cli.terminal import escape_controls


def write_json(document: Any) -> None:
    """Print one JSON document on stdout."""
    text = json.dumps(document, indent=2, ensure_ascii=False, default=_plain)
    sys.stdout.write(escape_controls(text) + "\n")
    sys.stdout.flush()


def write_json_list(documents: Iterable[Any]) -> None:
    """Print a JSON list on stdout, one document a line, once the last of them is there.

    Until then they wait on the disk: there may be millions, and after a failure nothing of them may
    be on stdout.
    """
    with tempfile.TemporaryFile("w+", encoding="utf-8") as waiting:
        between = "["
        for document in documents:
            text = json.dumps(document, ensure_ascii=False, default=_plain)
            waiting.write(f"{between}\n  {text}")
            between = ","
        waiting.write("[]\n" if between == "[" else "\n]\n")
        waiting.seek(0)
        shutil.copyfileobj(waiting, sys.stdout)
    sys.stdout.flush()


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Path):
        return str(value)
    raise TypeError(f"{type(value).__name__} has no JSON form here")
