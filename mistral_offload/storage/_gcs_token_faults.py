"""Faults of the services that give Google's tokens: the metadata server and token endpoints."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, cast

from mistral_offload.errors import StorageAccessDeniedError, StorageUnavailableError

Fault = tuple[type[StorageAccessDeniedError | StorageUnavailableError], str]


def token_fault(error: Exception) -> Fault | None:
    """Return kind and text of the error for a token that was not given; None for any other.

    google-auth raises the metadata server's faults as refusals, with the fault as the cause.
    """
    from google.auth import exceptions as auth

    if isinstance(error, auth.RefreshError) and cast("Any", error).retryable:
        return StorageUnavailableError, (
            "Google's token service gave no token: it was busy or did not respond"
        )
    if not isinstance(error, (auth.RefreshError, auth.TransportError)):
        return None
    for link in _chain(error):
        if not isinstance(link, auth.TransportError):
            continue
        status = _status_of(link)
        if 400 <= status < 500 and status not in (408, 429):
            return StorageAccessDeniedError, (
                f"Google's metadata server refused a token: HTTP {status}. Check that this "
                "machine, pod or function has a service account, with the scope of Cloud Storage"
            )
        return StorageUnavailableError, (
            "Google's metadata server or token service gave no token: it was busy or did not "
            "respond"
        )
    return None


def _status_of(error: Exception) -> int:
    """Return the HTTP status of the response that google-auth attaches to an error, or 0."""
    for argument in error.args:
        status = getattr(argument, "status", None)
        if isinstance(status, int):
            return status
    return 0


def _chain(error: BaseException) -> Iterator[BaseException]:
    link: BaseException | None = error
    seen: set[int] = set()
    while link is not None and id(link) not in seen:
        seen.add(id(link))
        yield link
        link = link.__cause__ or link.__context__
