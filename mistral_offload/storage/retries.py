"""Retries after transient faults: for a bounded time, with growing, randomized pauses."""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from mistral_offload._backoff import backoff_pause
from mistral_offload._http_dates import seconds_until
from mistral_offload.errors import (
    MissingExtraError,
    MistralOffloadError,
    StorageUnavailableError,
)
from mistral_offload.storage import telemetry, transfers

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

_logger = logging.getLogger("mistral_offload.storage")

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0


class RetryPolicy:
    """Retries what failed with a StorageUnavailableError, within a time limit.

    A retry is started only if the limit leaves time for it to take as long as the attempt before.
    So an endpoint that lets every connection time out does not overrun the limit by one timeout.

    Args:
        seconds: the limit, counted from the start of the first attempt; 0 means a single attempt.
        interrupted: ends a pause at once when set; the attempt that follows is expected to refuse.
        extra: name of the extra that installs tenacity, for the error when it is missing.
    """

    def __init__(self, seconds: float, interrupted: threading.Event, *, extra: str) -> None:
        self._seconds = seconds
        self._interrupted = interrupted
        self._extra = extra

    def run(self, attempt: Callable[[], T]) -> T:
        """Call ``attempt`` until it succeeds, fails for good, or the time is used up.

        Raises:
            StorageUnavailableError: no attempt succeeded in time; the text gives the number of
                attempts and the seconds spent.
            MissingExtraError: tenacity, which comes with the extra, is not installed.
        """
        started = time.monotonic()
        try:
            return attempt()
        except StorageUnavailableError as error:
            if not self._seconds:
                raise
            # Without its frames, here and below: they refer to the blob, and to the error itself.
            first = error.with_traceback(None)
        try:
            return self._retry(attempt, first, started)
        except MistralOffloadError as error:
            failure = error.with_traceback(None)
        finally:
            del first
        try:
            raise failure
        finally:
            del failure

    def _retry(
        self, attempt: Callable[[], T], failure: StorageUnavailableError, started: float
    ) -> T:
        try:
            from tenacity import Retrying, retry_if_exception_type
        except ImportError:
            raise MissingExtraError("retrying after a transient fault", self._extra) from failure
        attempt_started, provider = started, failure.provider

        def sleep(seconds: float) -> None:
            telemetry.count_retry(provider)
            transfers.count_retry()
            self._interrupted.wait(seconds)

        def is_too_late(state: RetryCallState) -> bool:
            now = time.monotonic()
            last_duration = now - attempt_started
            if now + state.upcoming_sleep + last_duration <= started + self._seconds:
                _logger.debug("retrying in %.2f s: %s", state.upcoming_sleep, _last_failure(state))
                return False
            _append_attempts(_last_failure(state), state.attempt_number, now - started)
            return True

        retrying = Retrying(
            retry=retry_if_exception_type(StorageUnavailableError),
            wait=_pause_after,
            stop=is_too_late,
            sleep=sleep,
            reraise=True,
        )
        try:
            for retry in retrying:
                with retry:
                    if retry.retry_state.attempt_number == 1:
                        raise failure
                    attempt_started = time.monotonic()
                    return attempt()
        finally:
            del failure
        raise AssertionError


def requested_pause(error: BaseException) -> float | None:
    """Return the seconds that an SDK's error response asks to wait (``retry-after``), or None."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore's
        headers: Any = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})  # pyright: ignore
    else:
        headers = getattr(response, "headers", None)
    if not isinstance(headers, Mapping):
        return None
    text, date = headers.get("retry-after"), headers.get("date")  # pyright: ignore
    if not isinstance(text, str):
        return None
    if text.strip().isdigit():
        return float(text)
    pause = seconds_until(text, response_date=date if isinstance(date, str) else None)
    return None if pause is None else max(0.0, pause)


def _pause_after(state: RetryCallState) -> float:
    longest = backoff_pause(
        state.attempt_number, first=_FIRST_PAUSE_SECONDS, factor=2, longest=_LONGEST_PAUSE_SECONDS
    )
    pause = longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads those who failed together
    requested = _last_failure(state).retry_after
    return pause if requested is None else max(pause, requested)


def _last_failure(state: RetryCallState) -> StorageUnavailableError:
    failure = state.outcome.exception() if state.outcome else None
    assert isinstance(failure, StorageUnavailableError)  # noqa: S101 - what is retried
    return failure


def _append_attempts(failure: StorageUnavailableError, attempts: int, seconds: float) -> None:
    """Add the number of attempts and the time they took to an error's text."""
    noun = "attempt" if attempts == 1 else "attempts"
    text, *rest = failure.args
    failure.args = (f"{text}; gave up after {attempts} {noun} in {seconds:.1f} s", *rest)
