"""Going on after a transient fault, for a bounded time, with growing and random pauses."""

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
from mistral_offload.storage import telemetry

if TYPE_CHECKING:
    from tenacity import RetryCallState

T = TypeVar("T")

_logger = logging.getLogger("mistral_offload.storage")

_FIRST_PAUSE_SECONDS = 0.1
_LONGEST_PAUSE_SECONDS = 2.0


class Patience:
    """How long a store tries again what failed with a StorageUnavailableError.

    ``seconds`` are counted from the start of the first attempt; 0 means a single attempt. Another
    attempt is begun only if there is time left for it to take as long as the last one, so that an
    endpoint which lets every connection time out does not cost one timeout more than was allowed.
    ``interrupted`` ends a pause at once; the attempt that follows is expected to refuse.
    """

    def __init__(self, seconds: float, interrupted: threading.Event, *, extra: str) -> None:
        self._seconds = seconds
        self._interrupted = interrupted
        self._extra = extra

    def persist(self, attempt: Callable[[], T]) -> T:
        """The outcome of the first attempt that is not a transient fault.

        Raises:
            StorageUnavailableError: there was none in time; the text says how often was tried.
            MissingExtraError: tenacity, which comes with the extra, is not installed.
        """
        began = time.monotonic()
        try:
            return attempt()
        except StorageUnavailableError as error:
            if not self._seconds:
                raise
            # Without its frames, here and below: they refer to the blob, and to the error itself.
            first = error.with_traceback(None)
        try:
            return self._go_on(attempt, first, began)
        except MistralOffloadError as error:
            failure = error.with_traceback(None)
        finally:
            del first
        try:
            raise failure
        finally:
            del failure

    def _go_on(self, attempt: Callable[[], T], failure: StorageUnavailableError, began: float) -> T:
        try:
            from tenacity import Retrying, retry_if_exception_type
        except ImportError:
            raise MissingExtraError("trying again after a fault", self._extra) from failure
        attempt_began, failure_provider = began, failure.provider

        def rest(seconds: float) -> None:
            telemetry.count_retry(failure_provider)
            self._interrupted.wait(seconds)

        def is_too_late(state: RetryCallState) -> bool:
            now = time.monotonic()
            as_the_last = now - attempt_began
            if now + state.upcoming_sleep + as_the_last <= began + self._seconds:
                _logger.debug("trying again in %.2f s: %s", state.upcoming_sleep, _last(state))
                return False
            _tell_effort(_last(state), state.attempt_number, now - began)
            return True

        turns = Retrying(
            retry=retry_if_exception_type(StorageUnavailableError),
            wait=_pause_after,
            stop=is_too_late,
            sleep=rest,
            reraise=True,
        )
        try:
            for turn in turns:
                with turn:
                    if turn.retry_state.attempt_number == 1:
                        raise failure
                    attempt_began = time.monotonic()
                    return attempt()
        finally:
            del failure
        raise AssertionError


def requested_pause(error: BaseException) -> float | None:
    """The seconds an error answer of any SDK asks to wait (``retry-after``), or None."""
    response: Any = getattr(error, "response", None)
    if isinstance(response, Mapping):  # botocore's
        headers: Any = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})  # pyright: ignore
    else:
        headers = getattr(response, "headers", None)
    if not isinstance(headers, Mapping):
        return None
    text, answered = headers.get("retry-after"), headers.get("date")  # pyright: ignore
    if not isinstance(text, str):
        return None
    if text.strip().isdigit():
        return float(text)
    pause = seconds_until(text, answered=answered if isinstance(answered, str) else None)
    return None if pause is None else max(0.0, pause)


def _pause_after(state: RetryCallState) -> float:
    longest = backoff_pause(
        state.attempt_number, first=_FIRST_PAUSE_SECONDS, factor=2, longest=_LONGEST_PAUSE_SECONDS
    )
    pause = longest * random.uniform(0.5, 1.0)  # noqa: S311 - spreads those who failed together
    requested = _last(state).retry_after
    return pause if requested is None else max(pause, requested)


def _last(state: RetryCallState) -> StorageUnavailableError:
    failure = state.outcome.exception() if state.outcome else None
    assert isinstance(failure, StorageUnavailableError)  # noqa: S101 - what is retried
    return failure


def _tell_effort(failure: StorageUnavailableError, attempts: int, seconds: float) -> None:
    times = "attempt" if attempts == 1 else "attempts"
    said, *rest = failure.args
    failure.args = (f"{said}; given up after {attempts} {times} in {seconds:.1f} s", *rest)
