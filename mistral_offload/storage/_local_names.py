"""Keys as file names that mean the same on every operating system, and back again.

Names are made of ``a-z 0-9 _ -``; every other byte of a segment is ``%`` and two hex digits, so
nothing depends on upper and lower case, on Unicode forms, on dots at an end. The last name ends in
``=blob``: the keys ``a`` and ``a/b`` can both exist. An empty segment is ``=``. A long segment is
spread over several folders, of which all but the last end in ``=``. Windows keeps some names for
devices; their first letter is written as a number.

    temporal-payload/acme/Exec/sha256:cf9f…  →  temporal-payload/acme/%45xec/sha256%3acf9f…=blob
"""

from __future__ import annotations

import re
from collections.abc import Sequence

BLOB_ENDING = "=blob"

# Well under the 143 bytes that an encrypted home folder leaves of a file name.
_LONGEST_NAME = 120

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul"] + [f"{name}{n}" for name in ("com", "lpt") for n in range(10)]
)
_NAME = re.compile(r"(?:%[0-9a-f]{2}|[a-z0-9_-])*")
_ESCAPE = re.compile(r"%([0-9a-f]{2})")


def names_of(key: str) -> list[str]:
    """Folders and file of a key.

    Raises:
        ValueError: the key has no UTF-8 form.
    """
    *folders, last = key.split("/")
    names = [name for folder in folders for name in _names(folder)]
    *parts, end = _names(last)
    return [*names, *parts, (end if last else "") + BLOB_ENDING]


def folders_of(prefix: str) -> list[str]:
    """The folders in which all keys lie that begin with ``prefix``."""
    return [name for folder in prefix.split("/")[:-1] for name in _names(folder)]


def key_of(names: Sequence[str]) -> str | None:
    """The key whose folders and file these are, or None when they are somebody else's."""
    *folders, last = names
    if not last.endswith(BLOB_ENDING):
        return None
    segments: list[str] = []
    begun = ""
    for name in (*folders, last.removesuffix(BLOB_ENDING)):
        if name != "=" and name.endswith("="):
            begun += name[:-1]
            continue
        segment = _unescaped(begun + ("" if name == "=" else name))
        if segment is None:
            return None
        segments.append(segment)
        begun = ""
    key = "/".join(segments)
    return key if names_of(key) == list(names) else None


def _names(segment: str) -> list[str]:
    if not segment:
        return ["="]
    names = [""]
    for byte in segment.encode():
        character = chr(byte) if byte in _PLAIN else f"%{byte:02x}"
        if len(names[-1]) + len(character) > _LONGEST_NAME:
            names[-1] += "="
            names.append("")
        names[-1] += character
    if names[-1] in _DEVICES:
        names[-1] = f"%{ord(names[-1][0]):02x}{names[-1][1:]}"
    return names


def _unescaped(name: str) -> str | None:
    if not _NAME.fullmatch(name):
        return None
    raw = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name).encode("latin-1")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
