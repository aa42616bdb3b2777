"""JSON schemas of inputs and results, for the platform's own pages."""

from __future__ import annotations

from typing import Any, Literal

from pydantic.errors import PydanticInvalidForJsonSchema

from mistral_offload.payload.typed_reader import ValueReader


def json_schema(
    reader: ValueReader, mode: Literal["validation", "serialization"]
) -> dict[str, Any]:
    """JSON schema of a type; empty, which means anything, for one that has none.

    Raises:
        ConfigurationError: pydantic cannot read such a type.
    """
    try:
        return reader.adapter.json_schema(mode=mode)
    except PydanticInvalidForJsonSchema:
        return {}
