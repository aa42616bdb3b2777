"""Placeholders for payloads that cannot be decoded; using one raises the original error.

An error raised while a workflow task is decoded makes Temporal retry the task forever, unnoticed by
the caller. So an error that no retry can fix is put into a placeholder instead of the payload. It
is raised where the value is used, as a failure that ends the workflow, handler or activity.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from contextvars import ContextVar
from typing import Any, NoReturn, cast

import temporalio.workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    EncryptionNotConfiguredError,
    MistralOffloadError,
    OffloadingNotConfiguredError,
    PayloadError,
)
from mistral_offload.temporal.failures.termination import schedule_termination

ENCODING = "binary/undeliverable"
"""Encoding of a placeholder. It occurs in a worker's memory only."""

LENIENT: ContextVar[bool] = ContextVar("mistral_offload_lenient", default=False)
"""True while a failure is converted. That must succeed, whatever the failure's details are."""

_LASTING = (PayloadError, BlobNotFoundError, BlobCorruptedError)
# A worker with the right settings can decode these, so a misconfigured one must not end executions.
_CONFIGURATION_ERRORS = (OffloadingNotConfiguredError, EncryptionNotConfiguredError)
# In a replay, all other errors go away when the worker gets its former settings back.
_BLOB_LOST = (BlobNotFoundError.__name__, BlobCorruptedError.__name__)

_ADVICE: dict[type[MistralOffloadError], str] = {
    BlobNotFoundError: (
        "Likely causes: the bucket's expiry policy is shorter than the lifetime and retention of "
        "executions, the blob was deleted by hand, or the writer used another bucket or prefix. "
        "Remedy: restore the blob under this key or run the execution again, and let blobs expire "
        "later than the retention period of the namespace"
    ),
    BlobCorruptedError: (
        "Likely causes: the object was overwritten, truncated or swapped in the bucket. Remedy: "
        "restore it under this key or run the execution again, and let only workers write there"
    ),
}


def is_lasting(error: BaseException) -> bool:
    """Return True if no retry can succeed, whatever the settings of the worker."""
    return isinstance(error, _LASTING) and not isinstance(error, _CONFIGURATION_ERRORS)


def as_failure(error: MistralOffloadError, *, size: int | None = None) -> ApplicationError:
    """Convert an error to a failure that Temporal does not retry, with a remedy in its message.

    Args:
        error: the error, whose class becomes the type of the failure.
        size: bytes that were offloaded, if known.
    """
    text = str(error)
    if size is not None:
        text += f"; {size:,} bytes were offloaded"
    advice = _ADVICE.get(type(error))
    if advice is not None:
        text += f". {advice}"
    return _failure(type(error).__name__, text)


def to_placeholder(failure: ApplicationError) -> Payload:
    """Make the placeholder of a payload that cannot be decoded."""
    members = {"type": failure.type, "message": failure.message}
    return Payload(metadata={"encoding": ENCODING.encode()}, data=json.dumps(members).encode())


def read_failure(payload: Payload) -> ApplicationError | None:
    """Return the failure in a placeholder; None for any other payload."""
    if payload.metadata.get("encoding") != ENCODING.encode():
        return None
    members = cast("dict[str, str]", json.loads(payload.data))
    return _failure(members["type"], members["message"])


def require_delivered(values: Iterable[Any]) -> None:
    """Raise the failure of the first lost payload, including those in ``RawValue``.

    Raises:
        ApplicationError: a value is a lost payload; not retryable.
    """
    for value in values:
        if isinstance(value, LostPayload):
            value.fail()
        if isinstance(value, RawValue):
            failure = read_failure(value.payload)
            if failure is not None:
                raise_failure(failure)


def raise_failure(failure: ApplicationError) -> NoReturn:
    """Raise a failure so that it ends the workflow, handler or activity it is raised in.

    Raises:
        ApplicationError: the failure.
        ReplayImpossibleError: a blob is lost in a replay, where history continues after this point;
            the run is going to be terminated.
    """
    is_blob_lost = failure.type in _BLOB_LOST and temporalio.workflow.in_workflow()
    if is_blob_lost and temporalio.workflow.unsafe.is_replaying_history_events():
        raise schedule_termination(failure)
    raise failure


class LostPayload:
    """Stands for a value that could not be decoded; using it raises its failure."""

    __slots__ = ("_failure",)

    def __init__(self, failure: ApplicationError) -> None:
        object.__setattr__(self, "_failure", failure)

    def fail(self) -> NoReturn:
        """Raise the failure.

        Raises:
            ApplicationError: always.
        """
        failure: ApplicationError = object.__getattribute__(self, "_failure")
        raise_failure(failure)

    def __repr__(self) -> str:
        return "<a value that could not be decoded>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # looked up by copy, inspect and similar modules
            raise AttributeError(name)
        self.fail()

    def __getitem__(self, key: Any) -> Any:
        self.fail()

    def __iter__(self) -> Any:
        self.fail()

    def __len__(self) -> int:  # noqa: PLE0303
        self.fail()

    def __bool__(self) -> bool:  # noqa: PLE0304
        self.fail()

    def __str__(self) -> str:  # noqa: PLE0307
        self.fail()


def _failure(kind: str | None, text: str) -> ApplicationError:
    return ApplicationError(text, type=kind, non_retryable=True)
