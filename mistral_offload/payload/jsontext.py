"""Writing and reading of JSON text.

The text is that of pydantic-core's writer, as on the platform: compact, UTF-8, keys in insertion
order, large integers exact. Models, dataclasses, datetimes, UUIDs and enums are serialized as
pydantic does.
A value that would be lost or could not be read again is refused: NaN in most models, secrets, deep
nesting, very long integers.
"""

from __future__ import annotations

import json
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic_core import PydanticSerializationError
from pydantic_core import from_json as _from_json
from pydantic_core import to_json as _to_json

from mistral_offload.errors import PayloadDecodeError, PayloadSerializationError
from mistral_offload.payload.held_text import HeldText
from mistral_offload.payload.lost_members import require_complete
from mistral_offload.payload.members import format_path, members_of
from mistral_offload.payload.model_traits import traits_of
from mistral_offload.payload.plain_writer import hold_plain, write_plain
from mistral_offload.payload.reader_limits import (
    MAX_JSON_DEPTH,
    deepest,
    require_readable,
    too_deep,
)

_FAILURES = (PydanticSerializationError, ValueError, RecursionError)


def dump_json(value: object, adapter: TypeAdapter[Any] | None = None) -> bytes:
    """Write a value as compact UTF-8 JSON.

    Args:
        value: the value.
        adapter: writes the value as its type; by default the form depends on the value alone.

    Raises:
        PayloadSerializationError: the value, or a member of it, cannot be written as JSON, would
            not be in it, or could not be read again; the error names the member.
    """
    if adapter is None and (plain := write_plain(value)) is not None:
        return plain
    try:
        data = _to_json(value) if adapter is None else adapter.dump_json(value, by_alias=True)
    except _FAILURES as error:
        raise _unwritable(value, error) from error
    if not isinstance(value, str | bytes):
        require_readable(data, nests=_can_nest(value))
        require_complete(value, data, inferred=adapter is None)
    return data


def hold_json(value: object) -> bytes | HeldText:
    """Write a value as `dump_json` does, and leave to another thread what can be done there.

    The value is known to be writable then, and may change.

    Raises:
        PayloadSerializationError: see `dump_json`.
    """
    plain = hold_plain(value)
    return dump_json(value) if plain is None else plain


def dump_named_json(value: object, name: str) -> bytes:
    """Write an input as `dump_json` does; errors begin with its name, their paths with ``input``.

    Raises:
        PayloadSerializationError: see `dump_json`.
    """
    try:
        return dump_json(value)
    except PayloadSerializationError as error:
        path, text = format_path(error.path), str(error)
        if path:
            text = text.replace(f"{path}: ", f"input.{path}: ", 1)
        raise PayloadSerializationError(f"{name}: {text}", path=error.path) from error.__cause__


def load_json(data: bytes | str) -> Any:
    """Read JSON text.

    Raises:
        PayloadDecodeError: the text is not JSON, or is over the limits of every reader.
    """
    try:
        return _load(data)
    except (ValueError, RecursionError) as error:
        raise _unreadable(data, error) from error


def load_json_or_bytes(data: bytes) -> Any:
    """Read JSON text; bytes that are not JSON are returned unchanged.

    Raises:
        PayloadDecodeError: the text is JSON, but over the limits of every reader.
    """
    try:
        return _load(data)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return data
    except (ValueError, RecursionError) as error:
        raise _unreadable(data, error) from error


def _can_nest(value: object) -> bool:
    kind = type(value)
    return not issubclass(kind, BaseModel) or traits_of(kind).nests


def _load(data: bytes | str) -> Any:
    try:
        return _from_json(data)
    except ValueError:
        # Python's reader accepts deeper nesting and lone surrogates, which others may have written.
        return json.loads(data if isinstance(data, str) else data.decode())


def _unreadable(data: bytes | str, error: Exception) -> PayloadDecodeError:
    if isinstance(error, json.JSONDecodeError | UnicodeDecodeError):
        return PayloadDecodeError(f"{len(data):,} bytes are not JSON: {error}")
    return PayloadDecodeError(
        f"{len(data):,} bytes of JSON cannot be read: they are nested too deeply, or hold an "
        "integer of thousands of digits"
    )


def _unwritable(value: object, error: Exception) -> PayloadSerializationError:
    path, found = _find_unwritable(value)
    if len(path) == MAX_JSON_DEPTH:
        return too_deep(path)
    for member in members_of(found):  # each of them can be written
        depth, inner = deepest(_to_json(member.value))
        if inner:
            return too_deep([*path, member.name, *inner], len(path) + 1 + depth)
    where = f": {format_path(path)}" if path else ""
    return PayloadSerializationError(
        f"a {type(value).__name__} cannot be written as JSON{where}: {error}", path=path
    )


def _find_unwritable(value: object) -> tuple[list[str], Any]:
    """Return the innermost value that cannot be written, and its path."""
    path: list[str] = []
    seen: list[Any] = [value]
    while len(path) < MAX_JSON_DEPTH:
        for member in members_of(seen[-1]):
            try:
                _to_json(member.value)
            except _FAILURES:
                path.append(member.name)
                break
        else:
            return path, seen[-1]
        if any(member.value is each for each in seen):  # it contains itself
            return path, None
        seen.append(member.value)
    return path, seen[-1]
