"""Objects that are sent: given as a model or as a dict, checked before they leave."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mistral_offload.api.body import Unset
from mistral_offload.api.models import RequestModel

_INPUT = "input"


def members(given: RequestModel | Mapping[str, Any], shape: type[RequestModel]) -> dict[str, Any]:
    """The members that are sent; an ``input`` is left as it was given.

    Raises:
        pydantic.ValidationError: it is not of this shape; a ``ValueError``.
    """
    checked = given if isinstance(given, RequestModel) else shape.model_validate(dict(given))
    sent = checked.model_dump(mode="json", exclude={_INPUT})
    if _INPUT in checked.model_fields_set:
        sent[_INPUT] = getattr(checked, _INPUT)
    return sent


def members_if_given(
    given: RequestModel | Mapping[str, Any] | Unset | None, shape: type[RequestModel]
) -> dict[str, Any] | Unset | None:
    """As ``members``; None and what was not given stay that."""
    return given if given is None or isinstance(given, Unset) else members(given, shape)
