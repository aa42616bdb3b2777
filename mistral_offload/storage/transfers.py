"""The log of transfers: one DEBUG line for each operation on a store.

A line has the operation, the store, the end of the key, the size in bytes if there is a blob, the
seconds and the attempts. It never has anything of a payload or a credential.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from contextvars import ContextVar
from typing import TypeVar

T = TypeVar("T")

_logger = logging.getLogger("mistral_offload.storage.transfers")

_KEY_END = 24


class _Transfer:
    """A running operation."""

    def __init__(self) -> None:
        self.attempts = 1


_running: ContextVar[_Transfer | None] = ContextVar("mistral_offload_transfer", default=None)
"""The operation of this thread, also in threads that send its parts."""


def logged(
    operation: str,
    store: str,
    key: str | None,
    run: Callable[[], T],
    describe: Callable[[T], str | None],
) -> T:
    """Run an operation, retries included, and log it if it is not a part of another one.

    Args:
        operation: name of the operation.
        store: provider and container.
        key: key of the blob; None if there is no single one.
        run: function that performs the operation.
        describe: function that returns the size of the blob as text, given the result; None if
            nothing was transferred.
    """
    if not _logger.isEnabledFor(logging.DEBUG) or _running.get() is not None:
        return run()
    transfer = _Transfer()
    token = _running.set(transfer)
    started = time.monotonic()
    outcome: str | None = None
    try:
        result = run()
        outcome = describe(result)
        return result
    except BaseException as error:
        outcome = f"failed with {type(error).__name__}"
        raise
    finally:
        _running.reset(token)
        end = "" if key is None else f" …{key[-_KEY_END:]}"
        seconds = time.monotonic() - started
        _logger.debug(
            "%s %s%s: %s%.3f s, attempts: %d",
            operation, store, end, f"{outcome}, " if outcome else "", seconds, transfer.attempts,
        )  # fmt: skip


def count_retry() -> None:
    """Count another attempt of the operation that this thread performs."""
    transfer = _running.get()
    if transfer is not None:
        transfer.attempts += 1
