"""What the errors of ``requests``, and of the SDKs above it, carry besides their text."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

# Where an error keeps its request: the blob as its body, a token or a signature in its headers, and
# the frames of the SDK, which hold both.
_HOLDERS = frozenset(
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
    )
)


def forget_requests(error: BaseException) -> None:
    """Take the request from an error and from all that it was made of.

    Its text stays, and for how long the server asked not to be asked again.
    """
    for link in list(_links(error)):
        link.__traceback__ = None
        for name in _HOLDERS & vars(link).keys():
            setattr(link, name, _pause_in(getattr(link, name)))


def is_untrusted(error: BaseException) -> bool:
    """Whether the server's certificate was the reason."""
    return any(isinstance(link, ssl.SSLCertVerificationError) for link in _links(error))


def _pause_in(answer: object) -> object:
    headers: Any = getattr(answer, "headers", None)
    if not isinstance(headers, Mapping) or not isinstance(headers.get("retry-after"), str):  # pyright: ignore
        return None
    kept = {name: headers.get(name) for name in ("retry-after", "date")}  # pyright: ignore
    return SimpleNamespace(headers=kept)


def _links(error: BaseException) -> Iterator[BaseException]:
    """An error and what it was made of: these libraries also keep causes in arguments."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop()
        if isinstance(link, BaseException) and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += (link.__cause__, link.__context__, *link.args)
            waiting += (getattr(link, name, None) for name in ("inner_exception", "reason"))
