"""When a request is sent again, and after which pause. Names and meaning as in the official SDK."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import Literal

RETRIED_STATUSES = frozenset({429, 500, 502, 503, 504})


@dataclass(frozen=True, slots=True)
class BackoffStrategy:
    """Pauses between attempts, in milliseconds: initial · exponentⁿ + jitter, up to the maximum."""

    initial_interval: int = 500
    max_interval: int = 60_000
    exponent: float = 1.5
    max_elapsed_time: int = 3_600_000
    jitter_ms: int = 1000


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """Which requests are retried, and how. ``RetryConfig("none")`` switches retries off."""

    strategy: Literal["backoff", "none"] = "backoff"
    backoff: BackoffStrategy = field(default_factory=BackoffStrategy)
    retry_connection_errors: bool = True


NO_RETRIES = RetryConfig("none")

DEFAULT_RETRIES = RetryConfig(
    backoff=BackoffStrategy(
        initial_interval=250,
        max_interval=5_000,
        exponent=2.0,
        max_elapsed_time=30_000,
        jitter_ms=250,
    )
)
"""For requests that do no harm when they arrive twice; others are sent once."""


def pause_seconds(
    backoff: BackoffStrategy, attempt: int, headers: Mapping[str, str] | None
) -> float:
    """Seconds to wait after the given attempt (the first is 1).

    A ``retry-after-ms`` or ``retry-after`` header of the answer replaces the computed pause.
    """
    asked = _asked_pause(headers or {})
    if asked > 0:
        return asked
    grown = backoff.initial_interval * backoff.exponent ** (attempt - 1)
    jitter = random.uniform(0, backoff.jitter_ms)  # noqa: S311 - spreads load, guards nothing
    return min(grown + jitter, backoff.max_interval) / 1000


def _asked_pause(headers: Mapping[str, str]) -> float:
    try:
        if milliseconds := headers.get("retry-after-ms"):
            return float(milliseconds) / 1000
        text = headers.get("retry-after", "")
        if text.replace(".", "", 1).isdigit():
            return float(text)
        return parsedate_to_datetime(text).timestamp() - time.time() if text else 0
    except (ValueError, TypeError):
        return 0
