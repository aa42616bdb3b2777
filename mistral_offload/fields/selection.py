"""Which fields of a value move to the store."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

REFERENCE_BYTES = 256
"""About what a reference takes; a smaller value would grow by moving."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A field with a value in place.

    Attributes:
        inline_bytes: what its value takes in place.
        is_plain: whether it can be left in place in the platform's own form.
    """

    inline_bytes: int
    is_plain: bool = True


def choose(candidates: Sequence[Candidate], *, rest_bytes: int, min_size_bytes: int) -> list[int]:
    """The positions of the fields that move, in ascending order.

    When everything together is at least ``min_size_bytes``, the largest move first, until what
    stays is below it. Values smaller than a reference stay, unless the floor is lower than that
    itself. Values without a plain form always move, so that every reader finds them.

    Args:
        candidates: the fields.
        rest_bytes: what everything else takes.
        min_size_bytes: the floor.
    """
    moving = [place for place, candidate in enumerate(candidates) if not candidate.is_plain]
    size = rest_bytes + sum(candidate.inline_bytes for candidate in candidates)
    size -= sum(candidates[place].inline_bytes - REFERENCE_BYTES for place in moving)
    by_size = sorted(
        (place for place, candidate in enumerate(candidates) if candidate.is_plain),
        key=lambda place: -candidates[place].inline_bytes,
    )
    for place in by_size:
        inline_bytes = candidates[place].inline_bytes
        if size < min_size_bytes or inline_bytes < REFERENCE_BYTES <= min_size_bytes:
            break
        moving.append(place)
        size -= inline_bytes - REFERENCE_BYTES
    return sorted(moving)
