"""Selection of the fields to offload."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

REFERENCE_BYTES = 256
"""Approximate size of a reference; offloading a smaller value would not save space."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A field whose value is in place.

    Attributes:
        inline_bytes: size of the value in place, in bytes.
        has_platform_form: True if the platform's format can represent the value in place.
    """

    inline_bytes: int
    has_platform_form: bool = True


def select_fields(
    candidates: Sequence[Candidate], *, rest_bytes: int, min_size_bytes: int
) -> list[int]:
    """Return the positions of the fields to offload, in ascending order.

    If everything together has at least ``min_size_bytes``, the largest fields are offloaded first,
    until the remainder is smaller. Values smaller than a reference stay in place, unless the
    threshold is lower still. Values without the platform's format are always offloaded, so that
    every reader can read them.

    Args:
        candidates: the fields.
        rest_bytes: size of everything else, in bytes.
        min_size_bytes: the threshold, in bytes.
    """
    selected = [
        position for position, candidate in enumerate(candidates) if not candidate.has_platform_form
    ]
    size = rest_bytes + sum(candidate.inline_bytes for candidate in candidates)
    size -= sum(candidates[position].inline_bytes - REFERENCE_BYTES for position in selected)
    by_size = sorted(
        (position for position, candidate in enumerate(candidates) if candidate.has_platform_form),
        key=lambda position: -candidates[position].inline_bytes,
    )
    for position in by_size:
        inline_bytes = candidates[position].inline_bytes
        if size < min_size_bytes or inline_bytes < REFERENCE_BYTES <= min_size_bytes:
            break
        selected.append(position)
        size -= inline_bytes - REFERENCE_BYTES
    return sorted(selected)
