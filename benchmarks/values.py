"""Values to transfer."""

from __future__ import annotations

import functools
import random


@functools.lru_cache(maxsize=2)
def json_of(size: int) -> bytes:
    """Return JSON text of ``size`` bytes: one string of letters and digits."""
    letters = random.Random(size).randbytes(min(size, 1_000_000)).hex().encode()
    body = letters * (size // len(letters) + 1)
    return b'"' + body[: size - 2] + b'"'
