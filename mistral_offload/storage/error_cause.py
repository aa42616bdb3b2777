"""Strips secrets and tracebacks from SDK errors before they are chained to ours."""

from __future__ import annotations

import configparser
from collections.abc import Collection, Iterator
from typing import Any, cast

_QUOTING = (UnicodeError, configparser.Error)
"""Errors that hold the text they are about, perhaps a line with a credential."""


def sanitize_cause(error: BaseException, secrets: Collection[str]) -> BaseException | None:
    """Return the error without tracebacks, or None when its text quotes a secret.

    The same applies to an error about a text that cannot be decoded or parsed.

    The errors it was raised from lose their tracebacks too: the frames of an SDK hold keys and
    signed headers in their variables, which error trackers send along.
    """
    pieces = {piece for secret in secrets for piece in secret.split()}
    for link in _chain(error):
        link.__traceback__ = None
        text = str(link)
        if _holds_a_text(link) or any(piece in text for piece in pieces):
            return None
    return error


def _holds_a_text(error: BaseException) -> bool:
    """Return True for an error that quotes a file; botocore keeps it as an argument of its own."""
    arguments = getattr(error, "kwargs", None)
    kept = cast("dict[str, Any]", arguments) if isinstance(arguments, dict) else {}
    return any(isinstance(each, _QUOTING) for each in (error, *kept.values()))


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error, its causes and its contexts, each once."""
    waiting: list[BaseException | None] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop()
        if link is not None and id(link) not in seen:
            seen.add(id(link))
            yield link
            waiting += (link.__cause__, link.__context__)
