"""Request bodies: members that are sent, request models as dicts, large JSON written only once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import Any

from mistral_offload.api.models import RequestModel
from mistral_offload.payload.jsontext import dump_json

_INPUT = "input"


class Unset(Enum):
    """The type of ``UNSET``: a parameter that was not given, as opposed to an explicit null."""

    UNSET = "unset"


UNSET = Unset.UNSET


@dataclass(frozen=True, slots=True)
class RawJSON:
    """JSON text that is copied into a body unchanged."""

    text: bytes


def render_body(members: Mapping[str, object]) -> bytes:
    """Write a JSON object; unset members are omitted, explicit nulls are kept."""
    parts: list[bytes] = []
    for name, value in members.items():
        if value is UNSET:
            continue
        text = value.text if isinstance(value, RawJSON) else dump_json(value)
        parts += (b"," if parts else b"{", dump_json(name), b":", text)
    return b"".join((*parts, b"}")) if parts else b"{}"


def dump_model(
    value: RequestModel | Mapping[str, Any], model: type[RequestModel]
) -> dict[str, Any]:
    """Return the members to send of a request object, given as a model or as a dict.

    A dict is validated against ``model`` first. The member ``input`` is passed through unchanged.

    Raises:
        pydantic.ValidationError: the dict does not fit the model; this is a ``ValueError``.
    """
    validated = value if isinstance(value, RequestModel) else model.model_validate(dict(value))
    members = validated.model_dump(mode="json", exclude={_INPUT})
    if _INPUT in validated.model_fields_set:
        members[_INPUT] = getattr(validated, _INPUT)
    return members


def dump_optional_model(
    value: RequestModel | Mapping[str, Any] | Unset | None, model: type[RequestModel]
) -> dict[str, Any] | Unset | None:
    """Return the members to send as `dump_model` does; None and ``UNSET`` are returned as such."""
    return value if value is None or isinstance(value, Unset) else dump_model(value, model)
