"""Maps keys to file names that are valid on every operating system, and back.

Names consist of ``a-z 0-9 _ -``; every other byte of a segment is ``%`` and two hex digits. So
nothing depends on letter case, Unicode normalization or trailing dots. The last name ends in
``=blob``, so the keys ``a`` and ``a/b`` can both exist. An empty segment is ``=``. A long segment
is split over several folders, of which all but the last end in ``=``. The first letter of a name
that Windows reserves for a device is escaped as well.

    temporal-payload/acme/Exec/sha256:cf9f…  →  temporal-payload/acme/%45xec/sha256%3acf9f…=blob
"""

from __future__ import annotations

import re
from collections.abc import Sequence

BLOB_ENDING = "=blob"

# Well under the 143 bytes that an encrypted home folder leaves for a file name.
_LONGEST_NAME = 120

_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyz0123456789_-")
_DEVICES = frozenset(
    ["con", "prn", "aux", "nul"] + [f"{name}{n}" for name in ("com", "lpt") for n in range(10)]
)
_NAME = re.compile(r"(?:%[0-9a-f]{2}|[a-z0-9_-])*")
_ESCAPE = re.compile(r"%([0-9a-f]{2})")


def names_of(key: str) -> list[str]:
    """Return the folder names of a key, followed by its file name.

    Raises:
        ValueError: the key cannot be encoded as UTF-8.
    """
    *folders, last = key.split("/")
    names = [name for folder in folders for name in _escape(folder)]
    *parts, end = _escape(last)
    return [*names, *parts, (end if last else "") + BLOB_ENDING]


def folders_of(prefix: str) -> list[str]:
    """Return the names of the folder that contains every key that begins with ``prefix``."""
    return [name for folder in prefix.split("/")[:-1] for name in _escape(folder)]


def key_of(names: Sequence[str]) -> str | None:
    """Return the key that `names_of` maps to these names, or None if there is none."""
    *folders, last = names
    if not last.endswith(BLOB_ENDING):
        return None
    segments: list[str] = []
    unfinished = ""  # the parts so far of a segment that is split over folders
    for name in (*folders, last.removesuffix(BLOB_ENDING)):
        if name != "=" and name.endswith("="):
            unfinished += name[:-1]
            continue
        segment = _unescape(unfinished + ("" if name == "=" else name))
        if segment is None:
            return None
        segments.append(segment)
        unfinished = ""
    key = "/".join(segments)
    return key if names_of(key) == list(names) else None


def _escape(segment: str) -> list[str]:
    """Return the names of one segment: one name, or several if the segment is long."""
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


def _unescape(name: str) -> str | None:
    if not _NAME.fullmatch(name):
        return None
    raw = _ESCAPE.sub(lambda match: chr(int(match[1], 16)), name).encode("latin-1")
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return None
