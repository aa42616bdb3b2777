"""JSON schemas of inputs and results, which the platform shows on its pages."""

from __future__ import annotations

from typing import Any, Literal

from pydantic.errors import PydanticInvalidForJsonSchema

from mistral_offload.payload.typed_reader import ValueReader


def json_schema(
    reader: ValueReader, mode: Literal["validation", "serialization"]
) -> dict[str, Any]:
    """Return the JSON schema of a type; ``{}``, which allows anything, if it has none.

    Raises:
        ConfigurationError: pydantic cannot validate this type.
    """
    try:
        return reader.adapter.json_schema(mode=mode)
    except PydanticInvalidForJsonSchema:
        return {}
