"""Requests for credentials: made once for all callers that wait, each for a bounded time.

A service that does not respond keeps an SDK busy for many seconds, which no setting bounds. So the
request runs in a thread of its own, and its result is kept even if it comes late.
"""

from __future__ import annotations

import contextvars
import copy
import threading
from collections.abc import Callable, Hashable
from concurrent.futures import Future, TimeoutError
from typing import Generic, TypeVar

from mistral_offload.errors import MistralOffloadError, StorageUnavailableError

T = TypeVar("T")

_LEAST_SECONDS = 5.0
"""Time for the only attempt if ``retry_seconds`` is less, such as 0."""


class CredentialsPendingError(Exception):
    """A request for credentials has not ended in time; it is still running."""

    def __init__(self, seconds: float) -> None:
        super().__init__(f"no credentials within {seconds:g} s")
        self.seconds = seconds


class CredentialRequests(Generic[T]):
    """Joins equal requests that overlap in time; one result, or one failure, serves all callers.

    Args:
        retry_seconds: longest time that a caller waits; at least 5 seconds are allowed.
    """

    def __init__(self, retry_seconds: float) -> None:
        self._seconds = max(retry_seconds, _LEAST_SECONDS)
        self._lock = threading.Lock()
        self._running: dict[Hashable, Future[T]] = {}

    def run(self, key: Hashable, request: Callable[[], T]) -> T:
        """Return the result of a request, or of one with the same key that is already running.

        ``request`` must keep its result itself: it may end after all callers have given up.

        Raises:
            CredentialsPendingError: the request has not ended in time.
        """
        with self._lock:
            running = self._running.get(key)
            if running is None:
                running = self._running[key] = Future()
                run = contextvars.copy_context().run
                arguments = (self._perform, key, running, request)
                threading.Thread(
                    target=run, args=arguments, name="mistral-offload-credentials", daemon=True
                ).start()
        try:
            return running.result(self._seconds)
        except TimeoutError:
            if running.done():  # the request's own error
                raise
            raise CredentialsPendingError(self._seconds) from None
        except MistralOffloadError as error:
            failure = copy.copy(error)  # each caller adds its own frames and text
            failure.__cause__ = error.__cause__
        finally:
            del running  # an error refers to this frame, and the future to the error
        raise failure

    def _perform(self, key: Hashable, running: Future[T], request: Callable[[], T]) -> None:
        try:
            result = request()
        except BaseException as error:
            self._remove(key)
            running.set_exception(error)
        else:
            self._remove(key)
            running.set_result(result)

    def _remove(self, key: Hashable) -> None:
        with self._lock:
            del self._running[key]


def pending_error(
    error: Exception, source: str, *, provider: str, container: str, key: str | None
) -> StorageUnavailableError | None:
    """Return the error for credentials that have not arrived, or None for any other exception.

    Args:
        error: the exception to translate.
        source: the credentials and the setting that replaces them, as text.
        provider: see `StorageError`, as the next two.
        container: name of the bucket or container.
        key: key of the blob, or None.
    """
    if not isinstance(error, CredentialsPendingError):
        return None
    return StorageUnavailableError(
        f"no credentials within {error.seconds:g} s: {source}",
        provider=provider,
        container=container,
        key=key,
    )
