"""Members of a file's JSON, and content that is in place in it."""

from __future__ import annotations

import base64
import binascii
from typing import Any

from pydantic_core import CoreSchema, core_schema


def members_schema() -> CoreSchema:
    """Return the schema of the JSON object; unknown members are ignored."""
    text = core_schema.nullable_schema(core_schema.str_schema())
    member = core_schema.typed_dict_field
    described = core_schema.typed_dict_schema(
        {
            "name": member(core_schema.str_schema()),
            "sha256": member(core_schema.str_schema(), required=False),
            "content_type": member(text, required=False),
        },
        extra_behavior="ignore",
    )
    return core_schema.typed_dict_schema(
        {
            "value": member(text, required=False),
            "blob_ref": member(text, required=False),
            "value_base64": member(text, required=False),
            "file": member(core_schema.nullable_schema(described), required=False),
        },
        extra_behavior="ignore",
    )


def members_in_place(name: str | None, content_type: str | None, content: bytes) -> dict[str, Any]:
    """Return a file in memory that is sent in place: where nothing stores it, or passed on."""
    members: dict[str, Any] = {"value": None, "blob_ref": None}
    try:
        members["value"] = content.decode()
    except UnicodeDecodeError:
        members["value_base64"] = base64.b64encode(content).decode()
    members["file"] = {"name": name, "content_type": content_type}
    return members


def read_content_in_place(given: dict[str, Any]) -> bytes:
    """Return the content that is in place, also that of an official worker.

    Raises:
        ValueError: it is not base64.
    """
    if given.get("value_base64") is None:
        return (given.get("value") or "").encode()
    try:
        return base64.b64decode(given["value_base64"], validate=True)
    except binascii.Error as error:
        raise ValueError(f"value_base64: {error}") from error
