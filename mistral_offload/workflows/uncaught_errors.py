"""Uncaught errors of a worker's set-up: the message on stderr, without a traceback."""

from __future__ import annotations

import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import partial
from types import TracebackType
from typing import Any

from mistral_offload.errors import (
    APIConnectionError,
    AuthenticationError,
    ConfigurationError,
    PermissionDeniedError,
)

_OF_THE_SET_UP = (
    ConfigurationError,
    APIConnectionError,
    AuthenticationError,
    PermissionDeniedError,
)
"""Errors of settings, of a platform that is not there, and of a key that it does not accept."""


@contextmanager
def shown_without_traceback() -> Generator[None]:
    """Let the interpreter print only the message of an error of the set-up raised in the block.

    The error is raised as ever, so a caller can catch it. Only if no caller does, and it ends the
    program, its message replaces the traceback, which would show nothing of the caller's. A program
    with a ``sys.excepthook`` of its own keeps that. The hook that the package exceptiongroup sets
    in Python 3.10 does not count as one.
    """
    try:
        yield
    except _OF_THE_SET_UP as error:
        hook = sys.excepthook
        if hook is sys.__excepthook__ or hook.__module__.startswith("exceptiongroup."):
            sys.excepthook = partial(_excepthook, hook)
        error.__dict__[_MARK] = True
        raise


_MARK = "_shown_without_traceback"

_Excepthook = Callable[[type[BaseException], BaseException, TracebackType | None], Any]


def _excepthook(
    previous: _Excepthook,
    kind: type[BaseException],
    error: BaseException,
    trace: TracebackType | None,
) -> None:
    if isinstance(error, _OF_THE_SET_UP) and error.__dict__.get(_MARK):
        sys.stderr.write(f"{kind.__name__}: {error}\n")
    else:
        previous(kind, error, trace)
