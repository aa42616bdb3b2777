"""Responses of another form than the SDKs expect: one error for all that they raise then."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager

from mistral_offload.errors import MistralOffloadError, StorageError

_RAISED = (AttributeError, LookupError, OverflowError, RecursionError, TypeError, ValueError)


class MalformedResponseError(Exception):
    """A response that is not of the service's form, or lacks what it must have."""


@contextmanager
def checked_form(*known: type[Exception]) -> Generator[None]:
    """Turn what an SDK raises for a response of another form into a `MalformedResponseError`.

    Args:
        known: the SDK's own exceptions, which stay as they are.
    """
    try:
        yield
        return
    except _RAISED as error:
        if isinstance(error, (MistralOffloadError, *known)):
            raise
        failure = type(error).__name__
    # Outside of the except block: an error of a parser holds the text, its frames the request.
    raise MalformedResponseError(f"the response has another form ({failure})")


def malformed_error(
    error: Exception, server: str, *, provider: str, container: str, key: str | None
) -> StorageError | None:
    """Return the error for a `MalformedResponseError`, or None for any other exception."""
    if not isinstance(error, MalformedResponseError):
        return None
    return StorageError(
        f"{error}: another service responds at {server}, or a proxy changed the response",
        provider=provider,
        container=container,
        key=key,
    )
