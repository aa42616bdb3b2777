"""Retry configuration and the pauses between attempts.

`BackoffStrategy` and `RetryConfig` have the names and the meaning they have in the official SDK.
"""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import httpx

from mistral_offload._backoff import backoff_pause
from mistral_offload._http_dates import seconds_until

_RETRIED_STATUSES = ("429", "500", "502", "503", "504")


@dataclass(frozen=True, slots=True)
class BackoffStrategy:
    """Pauses between attempts: ``initial_interval · exponentⁿ + jitter``, up to ``max_interval``.

    Attributes:
        initial_interval: pause after the first attempt, in milliseconds.
        max_interval: longest pause, in milliseconds.
        exponent: growth from one pause to the next.
        max_elapsed_time: total time for all attempts, in milliseconds.
        jitter_ms: upper bound of the random addition to each pause, in milliseconds.
    """

    initial_interval: int = 500
    max_interval: int = 60_000
    exponent: float = 1.5
    max_elapsed_time: int = 3_600_000
    jitter_ms: int = 1000


@dataclass(frozen=True, slots=True)
class RetryConfig:
    """Retry configuration of a client or a call; ``RetryConfig("none")`` turns retries off.

    Attributes:
        strategy: ``backoff`` or ``none``.
        backoff: pauses between attempts and the total time for all of them.
        retry_connection_errors: True to retry also when no response arrived.
        status_codes_override: status codes to retry instead of 429, 500, 502, 503 and 504; ``5XX``
            stands for a whole class.
    """

    strategy: Literal["backoff", "none"] = "backoff"
    backoff: BackoffStrategy = field(default_factory=BackoffStrategy)
    retry_connection_errors: bool = True
    status_codes_override: Sequence[str] | None = None

    def retries_status(self, status_code: int) -> bool:
        """Return True when a response with this status code is retried."""
        text = str(status_code)
        codes = self.status_codes_override or _RETRIED_STATUSES
        return any(code.upper() in (text, f"{text[0]}XX") for code in codes)


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
"""Default for idempotent operations; all others are sent once."""


_SHORTEST_CONNECT_SECONDS = 1.0


def limit_connect(request: httpx.Request, left: float) -> None:
    """Let a retry connect no longer than the time left for retries, so that it bounds an outage.

    Args:
        request: the request; its connect timeout is shortened.
        left: seconds left for retries.
    """
    timeout = dict(request.extensions.get("timeout", {}))
    given = timeout.get("connect")
    longest = max(left, _SHORTEST_CONNECT_SECONDS)
    timeout["connect"] = longest if given is None else min(given, longest)
    request.extensions["timeout"] = timeout


def pause_seconds(
    backoff: BackoffStrategy, attempt: int, headers: Mapping[str, str] | None
) -> float:
    """Return the seconds to wait after an attempt.

    A ``retry-after-ms`` or ``retry-after`` header of the response replaces the computed pause.

    Args:
        backoff: the configured pauses.
        attempt: number of the attempt that has just failed; the first is 1.
        headers: headers of the response, or None when there was none.
    """
    requested = _retry_after_seconds(headers or {})
    if requested > 0:
        return requested
    pause = backoff_pause(
        attempt,
        first=backoff.initial_interval,
        factor=backoff.exponent,
        longest=backoff.max_interval,
    )
    jitter = random.uniform(0, backoff.jitter_ms)  # noqa: S311 - spreads load, guards nothing
    return min(pause + jitter, backoff.max_interval) / 1000


def _retry_after_seconds(headers: Mapping[str, str]) -> float:
    """Return the pause the platform requests, in seconds; 0 without one or with an invalid one."""
    milliseconds = _parse_number(headers.get("retry-after-ms"))
    if milliseconds > 0:
        return milliseconds / 1000
    text = headers.get("retry-after", "")
    seconds = _parse_number(text)
    if seconds > 0:
        return seconds
    return seconds_until(text, response_date=headers.get("date")) or 0


def _parse_number(text: str | None) -> float:
    try:
        number = float(text or 0)
    except ValueError:
        return 0
    return number if math.isfinite(number) else 0
