"""Removes requests from the errors of ``requests`` and of the SDKs that use it."""

from __future__ import annotations

import ssl
from collections.abc import Collection, Iterator, Mapping
from types import SimpleNamespace
from typing import Any

# Attributes that lead to the request, with the blob in its body and a token or signature in its
# headers, or to frames of the SDK, which hold both.
_ATTRIBUTES = frozenset(
    (
        "request",
        "response",
        "_response",
        "model",
        "pool",
        "_pool",
        "conn",
        "_conn",
        "exc_value",
        "exc_traceback",
        "inner_exception",
        "doc",  # of a JSONDecodeError: the document, perhaps with a key
    )
)


_SHOWN_CHARACTERS = 300
"""Characters of a server's sentence that an error shows."""


def strip_requests(error: BaseException) -> None:
    """Remove the request from an error and from all errors it was raised from.

    The text stays, and so does the ``retry-after`` header of the response.
    """
    for link in list(_chain(error)):
        link.__traceback__ = None
        for name in _ATTRIBUTES & vars(link).keys():
            setattr(link, name, _keep_retry_after(getattr(link, name)))


def is_untrusted_certificate(error: BaseException) -> bool:
    """Return True if the request failed because the server's certificate is not trusted."""
    return any(isinstance(link, ssl.SSLCertVerificationError) for link in _chain(error))


def _keep_retry_after(response: object) -> object:
    """Return a response with the headers that tell how long to wait, or None if there are none."""
    headers: Any = getattr(response, "headers", None)
    if not isinstance(headers, Mapping) or not isinstance(headers.get("retry-after"), str):  # pyright: ignore
        return None
    kept = {name: headers.get(name) for name in ("retry-after", "date")}  # pyright: ignore
    return SimpleNamespace(headers=kept)


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and all errors it was raised from, also those in its arguments."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop()
        if isinstance(link, BaseException) and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += (link.__cause__, link.__context__, *link.args)
            waiting += (getattr(link, name, None) for name in ("inner_exception", "reason"))


def quoted(sentence: str, secrets: Collection[str] = ()) -> str:
    """Return the first line of a server's sentence, to add to an error's text, or nothing.

    A sentence that quotes a secret is left out.
    """
    lines = sentence.strip().splitlines()
    if not lines or any(secret in sentence for secret in secrets if secret):
        return ""
    line = "".join(character for character in lines[0] if character.isprintable())
    return f"; the server says: {line[:_SHOWN_CHARACTERS].rstrip('. ')!r}" if line else ""
