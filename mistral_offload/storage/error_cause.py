"""Strips secrets and tracebacks from SDK errors before they are chained to ours."""

from __future__ import annotations

from collections.abc import Collection, Iterator


def sanitize_cause(error: BaseException, secrets: Collection[str]) -> BaseException | None:
    """Return the error without tracebacks, or None when its text quotes a secret.

    An error about a text that cannot be decoded holds the text, perhaps a credential.

    The errors it was raised from lose their tracebacks too: the frames of an SDK hold keys and
    signed headers in their variables, which error trackers send along.
    """
    pieces = {piece for secret in secrets for piece in secret.split()}
    for link in _chain(error):
        link.__traceback__ = None
        text = str(link)
        if isinstance(link, UnicodeError) or any(piece in text for piece in pieces):
            return None
    return error


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
