"""Request objects of callers, given as models or as dicts, as members of a request body."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mistral_offload.api.models import RequestModel
from mistral_offload.api.unset import Unset

_INPUT = "input"


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
