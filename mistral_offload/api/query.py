"""Query parameters in the form the platform accepts."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import Enum
from typing import Any, cast

from mistral_offload.api.unset import UNSET

_RESERVED_NAMES = frozenset({"workflow_event_types", "last_event_id"})


def render_query(parameters: Mapping[str, object]) -> list[tuple[str, str]]:
    """Return query parameters as pairs of name and text.

    None and ``UNSET`` are omitted; a list repeats its name.
    """
    pairs: list[tuple[str, str]] = []
    for name, value in parameters.items():
        if value is None or value is UNSET:
            continue
        if isinstance(value, Iterable) and not isinstance(value, str):
            pairs += [(name, _format(item)) for item in cast("Iterable[object]", value)]
        else:
            pairs.append((name, _format(value)))
    return pairs


def with_metadata_filters(
    parameters: Mapping[str, object], filters: Mapping[str, Any] | None
) -> dict[str, object]:
    """Return the parameters plus one query parameter for each metadata filter.

    Raises:
        ValueError: a filter has the name of a parameter, or its value is not a single value and so
            cannot be written in a query.
    """
    filters = filters or {}
    for name, value in filters.items():
        if name in parameters or name in _RESERVED_NAMES:
            raise ValueError(
                f"metadata_filters cannot filter by {name!r}: this is the name of a parameter, and "
                "the platform reads both from the same query"
            )
        if not isinstance(value, str | int | float | datetime | Enum):
            raise ValueError(
                f"metadata_filters takes single values: {name!r} is a {type(value).__name__}, "
                "which cannot be written in a query"
            )
    return {**parameters, **filters}


def _format(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        text = value.isoformat()
        return text.removesuffix("+00:00") + "Z" if text.endswith("+00:00") else text
    return str(value.value) if isinstance(value, Enum) else str(value)
