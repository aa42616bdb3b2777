"""Uncaught configuration errors of a worker: the message on stderr, without a traceback."""

from __future__ import annotations

import sys
from collections.abc import Generator
from contextlib import contextmanager
from types import TracebackType

from mistral_offload.errors import ConfigurationError


@contextmanager
def shown_without_traceback() -> Generator[None]:
    """Let the interpreter print only the message of a `ConfigurationError` raised in the block.

    The error is raised as ever, so a caller can catch it. Only if no caller does, and it ends the
    program, its message replaces the traceback, which would show nothing of the caller's. A program
    with a ``sys.excepthook`` of its own keeps that.
    """
    try:
        yield
    except ConfigurationError as error:
        if sys.excepthook is sys.__excepthook__:
            sys.excepthook = _excepthook
        error.__dict__[_MARK] = True
        raise


_MARK = "_shown_without_traceback"


def _excepthook(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if isinstance(error, ConfigurationError) and error.__dict__.get(_MARK):
        sys.stderr.write(f"{kind.__name__}: {error}\n")
    else:
        sys.__excepthook__(kind, error, trace)
