"""Changes between two states as JSON patches: ``add``, ``replace``, ``remove`` and ``append``.

The first three are those of RFC 6902. ``append`` adds to a text, so that a text which grows token
by token is sent once. Finding it compares the old text with the start of the new one, and copies
neither.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from operator import is_
from typing import Any, Final, cast

from pydantic_core import PydanticSerializationError, to_json, to_jsonable_python

from mistral_offload.errors import PayloadSerializationError
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.payload.partial_encryption import MARKER

_MARKER: Final = MARKER.encode()
_TYPE: Final = "field_type"


@dataclass(frozen=True, slots=True)
class Patch:
    """One change.

    Attributes:
        path: JSON pointer of the changed value.
        value: the value to add, replace by, or append; None to remove.
        op: ``add``, ``replace``, ``remove`` or ``append``.
        is_marked: True if it is part of a field that partial encryption encrypts.
    """

    path: str
    value: Any
    op: str
    is_marked: bool

    def to_json(self) -> bytes:
        """Return the patch as JSON text, as the platform spells it."""
        return b'{"path":%b,"value":%b,"op":"%b"}' % (
            write_json(self.path),
            write_json(self.value),
            self.op.encode(),
        )


def to_tree(value: object) -> Any:
    """Return a value as dicts, lists, texts, numbers and None, as its JSON would be read.

    Models and dataclasses become objects by the names of their fields. Containers are copied, texts
    are not.

    Raises:
        PayloadSerializationError: the value cannot be written as JSON.
    """
    try:
        return to_jsonable_python(value, by_alias=False)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        dump_json(value)  # its error names the member
        raise PayloadSerializationError(
            f"a {type(value).__name__} cannot be written as JSON: {error}", path=[]
        ) from error


def write_json(tree: Any) -> bytes:
    """Return a tree as JSON text; NaN and infinities, which JSON does not have, become null.

    Raises:
        PayloadSerializationError: it cannot be written, or could not be read again.
    """
    text = dump_json(tree)
    if b"NaN" in text or b"Infinity" in text:
        return to_json(tree, inf_nan_mode="null")
    return text


def find_patches(old: Any, new: Any, path: str = "", *, is_marked: bool = False) -> Iterator[Patch]:
    """Yield the patches, in order, that turn one tree into another.

    Args:
        old: the tree before.
        new: the tree after.
        path: JSON pointer of both.
        is_marked: True if they are inside of a field that partial encryption encrypts.
    """
    if old is new:
        return
    one, other = cast("object", old), cast("object", new)
    if isinstance(old, dict) and isinstance(new, dict):
        before, after = cast("dict[str, Any]", old), cast("dict[str, Any]", new)
        is_marked = is_marked or MARKER in (before.get(_TYPE), after.get(_TYPE))
        yield from _members(before, after, path, is_marked)
    elif isinstance(old, list) and isinstance(new, list):
        yield from _elements(cast("list[object]", old), cast("list[object]", new), path, is_marked)
    elif isinstance(old, str) and isinstance(new, str):
        yield from _texts(old, new, path, is_marked)
    elif type(one) is not type(other) or one != other:
        yield _with_value(path, new, "replace", is_marked)


def _member_path(path: str, name: str) -> str:
    """Return the JSON pointer of a member."""
    return f"{path}/{name.replace('~', '~0').replace('/', '~1')}"


def _members(
    old: dict[str, Any], new: dict[str, Any], path: str, is_marked: bool
) -> Iterator[Patch]:
    for name in old:
        if name not in new:
            yield Patch(_member_path(path, name), None, "remove", is_marked)
    for name, value in new.items():
        if name not in old:
            yield _with_value(_member_path(path, name), value, "add", is_marked)
    for name, value in new.items():
        if name in old and old[name] is not value:
            yield from find_patches(old[name], value, _member_path(path, name), is_marked=is_marked)


def _elements(old: list[Any], new: list[Any], path: str, is_marked: bool) -> Iterator[Patch]:
    first, last = _common_start(old, new), 0
    while last < min(len(old), len(new)) - first and _are_same(old[-1 - last], new[-1 - last]):
        last += 1
    removed, added = old[first : len(old) - last], new[first : len(new) - last]
    common = min(len(removed), len(added))
    for at in range(common):
        place = f"{path}/{first + at}"
        yield from find_patches(removed[at], added[at], place, is_marked=is_marked)
    for _ in removed[common:]:
        yield Patch(f"{path}/{first + common}", None, "remove", is_marked)
    for at, value in enumerate(added[common:], first + common):
        yield _with_value(f"{path}/{at}", value, "add", is_marked)


def _texts(old: str, new: str, path: str, is_marked: bool) -> Iterator[Patch]:
    if len(new) > len(old) and new.startswith(old):
        yield Patch(path, new[len(old) :], "append", is_marked)
    elif new != old:
        yield Patch(path, new, "replace", is_marked)


def _common_start(old: Sequence[Any], new: Sequence[Any]) -> int:
    """Return the number of equal elements at the start of two lists."""
    if all(map(is_, old, new)):  # a list that has grown holds the same texts
        return min(len(old), len(new))
    count = 0
    for before, after in zip(old, new, strict=False):
        if not _are_same(before, after):
            break
        count += 1
    return count


def _are_same(old: Any, new: Any) -> bool:
    return next(find_patches(old, new), None) is None


def _with_value(path: str, value: Any, op: str, is_marked: bool) -> Patch:
    if not is_marked and isinstance(value, dict | list):
        is_marked = _MARKER in dump_json(cast("object", value))
    return Patch(path, value, op, is_marked)
