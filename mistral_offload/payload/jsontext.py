"""Writing and reading of JSON text.

The writer is pydantic-core's, as on the platform: compact, UTF-8, keys in insertion order, large
integers exact. Models, dataclasses, datetimes, UUIDs and enums are serialized as pydantic does.
"""

from __future__ import annotations

from typing import Any

from pydantic_core import PydanticSerializationError
from pydantic_core import from_json as _from_json
from pydantic_core import to_json as _to_json

from mistral_offload.errors import PayloadDecodeError, PayloadSerializationError


def dump_json(value: object) -> bytes:
    """Write a value as compact UTF-8 JSON.

    Raises:
        PayloadSerializationError: the value, or a part of it, cannot be written as JSON.
    """
    try:
        return _to_json(value)
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise PayloadSerializationError(
            f"a {type(value).__name__} cannot be written as JSON: {error}"
        ) from error


def load_json(data: bytes | str) -> Any:
    """Read JSON text.

    Raises:
        PayloadDecodeError: the text is not JSON.
    """
    try:
        return _from_json(data)
    except ValueError as error:
        raise PayloadDecodeError(f"{len(data):,} bytes are not JSON: {error}") from error
