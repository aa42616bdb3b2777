"""When a request is sent again, and after which pause. Names and meaning as in the official SDK."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from mistral_offload._backoff import backoff_pause
from mistral_offload._http_dates import seconds_until

_RETRIED_STATUSES = ("429", "500", "502", "503", "504")


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
    """Which requests are retried, and how. ``RetryConfig("none")`` switches retries off.

    Attributes:
        strategy: ``backoff``, or ``none``.
        backoff: the pauses between attempts, and how long to go on.
        retry_connection_errors: also when no answer came.
        status_codes_override: which statuses are retried, ``5XX`` for all of a kind, instead of
            429, 500, 502, 503 and 504.
    """

    strategy: Literal["backoff", "none"] = "backoff"
    backoff: BackoffStrategy = field(default_factory=BackoffStrategy)
    retry_connection_errors: bool = True
    status_codes_override: Sequence[str] | None = None

    def retries_status(self, status_code: int) -> bool:
        """Whether a request that was answered with this status is sent again."""
        text = str(status_code)
        asked_for = self.status_codes_override or _RETRIED_STATUSES
        return any(code.upper() in (text, f"{text[0]}XX") for code in asked_for)


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
    pause = backoff_pause(
        attempt,
        first=backoff.initial_interval,
        factor=backoff.exponent,
        longest=backoff.max_interval,
    )
    jitter = random.uniform(0, backoff.jitter_ms)  # noqa: S311 - spreads load, guards nothing
    return min(pause + jitter, backoff.max_interval) / 1000


def _asked_pause(headers: Mapping[str, str]) -> float:
    """Seconds that the platform asked for; 0 when it asked for none that can be understood."""
    milliseconds = _number(headers.get("retry-after-ms"))
    if milliseconds > 0:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    seconds = _number(text)
    if seconds > 0:
        return seconds
    return seconds_until(text, response_date=headers.get("date")) or 0


def _number(text: str | None) -> float:
    try:
        number = float(text or 0)
    except ValueError:
        return 0
    return number if math.isfinite(number) else 0
