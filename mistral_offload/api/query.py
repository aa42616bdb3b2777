"""Query parameters as the platform reads them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, cast

from mistral_offload.api.body import UNSET

_TAKEN = frozenset({"workflow_event_types", "last_event_id"})


def render_query(parameters: Mapping[str, object]) -> list[tuple[str, str]]:
    """Names and texts; None and what was not given are left out, a list repeats its name."""
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if value is None or value is UNSET:
            continue
        if isinstance(value, Iterable) and not isinstance(value, str):
            pairs += [(name, _text(item)) for item in cast("Iterable[object]", value)]
        else:
            pairs.append((name, _text(value)))
    return pairs


def with_filters(
    parameters: Mapping[str, object], filters: Mapping[str, Any] | None
) -> dict[str, object]:
    """The parameters together with metadata filters, each a query parameter of its own.

    Raises:
        ValueError: a filter has the name of a parameter, or is no single value: it has no form in
            a query.
    """
    filters = filters or {}
    for name, value in filters.items():
        if name in parameters or name in _TAKEN:
            raise ValueError(
                f"metadata_filters cannot filter by {name!r}: that is the name of a parameter, and "
                "the platform takes both from the same query"
            )
        if not isinstance(value, str | int | float | datetime | Enum):
            raise ValueError(
                f"metadata_filters takes single values: {name!r} is a {type(value).__name__}, "
                "which a query cannot express"
            )
    return {**parameters, **filters}


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        text = value.isoformat()
        return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text
    return str(value.value) if isinstance(value, Enum) else str(value)
