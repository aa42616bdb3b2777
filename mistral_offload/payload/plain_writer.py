"""Writing of values without models by orjson, which takes a third of pydantic's time.

The text is the one that pydantic writes; only exponents are spelled as the versions of both do it,
``1e16`` or ``1e+16``. What orjson cannot write that way, pydantic writes: this
module then returns None. orjson is optional.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import cache
from itertools import repeat
from operator import countOf
from typing import Any, NamedTuple, cast

from mistral_offload.limits import INLINE_WORK_BYTES
from mistral_offload.payload.held_text import HeldText
from mistral_offload.payload.reader_limits import MAX_JSON_DEPTH

_OLDEST = (3, 11, 6)
"""Earlier versions of orjson have a fault in their handling of memory."""

_DEEPEST_TRIED = 1024
_NULL = b"null"
_NULL_MEMBER = b'":null'
_SAMPLED_NULLS = 64
_SAMPLED_MEMBERS = 64
_TABLE_LEVELS = 3


class _Writer(NamedTuple):
    """The installed orjson.

    Attributes:
        write: writes a value, or raises TypeError.
        spare_levels: levels that it writes beyond those that readers accept.
    """

    write: Callable[[object], bytes]
    spare_levels: int


def write_plain(value: object) -> bytes | None:
    """Write a text, or a list, tuple or dict of plain values, as compact UTF-8 JSON.

    Integers are of 64 bits then, nothing is nested more deeply than readers accept, and every
    number is written as it is.

    Returns:
        The text; None if orjson is not installed, or does not write the value as pydantic does.
    """
    wrapped = _write_wrapped(value)
    return None if wrapped is None else _unwrap(*wrapped)


def hold_plain(value: object) -> bytes | HeldText | None:
    """Write a value as `write_plain` does; the bytes of a large text are made when it is read.

    For a string they are written again: fresh memory for them costs ten times as much as writing
    them into memory that was used before. The value may change afterwards.
    """
    wrapped = _write_wrapped(value)
    if wrapped is None:
        return None
    data, levels = wrapped
    size = len(data) - 2 * levels
    if size < INLINE_WORK_BYTES:
        return _unwrap(data, levels)
    if type(value) is str:
        write = cast("_Writer", _writer()).write
        return HeldText(size, lambda: write(value), is_kept=False)
    return HeldText(size, lambda: _unwrap(data, levels), is_kept=True)


def _write_wrapped(value: object) -> tuple[bytes, int] | None:
    """Return the text of a value in a number of lists, and that number; see `write_plain`."""
    kind = type(value)
    if kind not in (str, list, dict, tuple) or (writer := _writer()) is None:
        return None
    # In lists around it, orjson's own limit of levels becomes the one of readers.
    levels = 0 if kind is str else writer.spare_levels
    wrapped = value
    for _ in range(levels):
        wrapped = [wrapped]
    try:
        data = writer.write(wrapped)
    except TypeError:
        return None
    # orjson writes numbers that are not finite as null.
    nulls = data.count(_NULL) if kind is not str and _NULL in data else 0
    if nulls and _count_none(value, _keys_of_nulls(data), _TABLE_LEVELS) != nulls:
        return None
    return data, levels


def _unwrap(data: bytes, levels: int) -> bytes:
    return data[levels : len(data) - levels]


@cache
def _writer() -> _Writer | None:
    try:
        import orjson
    except ImportError:
        return None
    if tuple(map(int, re.findall(r"\d+", orjson.__version__)[:3])) < _OLDEST:
        return None
    options = (
        orjson.OPT_PASSTHROUGH_SUBCLASS
        | orjson.OPT_PASSTHROUGH_DATACLASS
        | orjson.OPT_PASSTHROUGH_DATETIME
    )

    def write(value: object) -> bytes:
        return orjson.dumps(value, None, options)

    nested: list[object] = []  # some versions do not count an empty list
    for level in range(1, _DEEPEST_TRIED):
        try:
            write(nested)
        except TypeError:
            spare = level - 1 - MAX_JSON_DEPTH
            return _Writer(write, spare) if spare > 0 else None
        nested = [nested]
    return None


def _keys_of_nulls(data: bytes) -> set[str]:
    """Return keys whose value is ``null`` in JSON text; of many nulls, those of the first."""
    keys: set[bytes] = set()
    end = -1
    for _ in range(_SAMPLED_NULLS):  # a split would copy the rest of the text
        end = data.find(_NULL_MEMBER, end + 1)
        if end < 0:
            break
        keys.add(data[data.rfind(b'"', 0, end) + 1 : end])
    return {key.decode(errors="replace") for key in keys}


def _count_none(value: object, keys: set[str], levels: int) -> int:
    """Count where a value is None: in tables below some keys, elsewhere in the first levels.

    There can be more of them, but never less, so that all nulls are explained if the numbers agree.
    """
    if type(value) is dict:
        members = list(cast("dict[str, object]", value).values())
    elif type(value) is list or type(value) is tuple:
        members = cast("list[object]", value)
    else:
        return 0
    if len(members) > _SAMPLED_MEMBERS and type(members[0]) is dict:
        return sum(_count_in_column(members, key) for key in keys)
    found = members.count(None)
    if levels and len(members) <= _SAMPLED_MEMBERS:
        found += sum(_count_none(each, keys, levels - 1) for each in members)
    return found


def _count_in_column(rows: list[Any], key: str) -> int:
    """Count the rows in which the value of a key is None; 0 if not all of them are dicts."""
    try:
        return countOf(map(dict[str, object].get, rows, repeat(key), repeat(False)), None)
    except TypeError:
        return 0
