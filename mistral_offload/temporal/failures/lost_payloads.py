"""Payloads that will never be readable, on their way to whoever must fail because of them.

An error raised while a workflow task is decoded makes Temporal try the task again, for ever and
with nobody told. So an error that no retry can mend takes the place of the payload, and is raised
where the value is used: in the workflow, the handler or the activity, as a failure that ends it.
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

LENIENT: ContextVar[bool] = ContextVar("mistral_offload_lenient", default=False)
"""Set while failures are converted, which must succeed with whatever is in them."""

_LASTING = (PayloadError, BlobNotFoundError, BlobCorruptedError)
# A worker with the right settings can do it: nothing may be lost to a bad deployment.
_OF_THIS_WORKER = (OffloadingNotConfiguredError, EncryptionNotConfiguredError)
# During a replay, all others can be mended by giving the worker its former settings.
_ENDING = (BlobNotFoundError.__name__, BlobCorruptedError.__name__)

_ADVICE: dict[type[MistralOffloadError], str] = {
    BlobNotFoundError: (
        "Likely causes: an expiry policy of the bucket that is shorter than the executions' "
        "lifetime and retention, a clean-up by hand, or another bucket or prefix than the writer's."
        " Remedy: restore the blob under this key, or run the execution again, and let blobs "
        "expire later than the retention period of the namespace"
    ),
    BlobCorruptedError: (
        "Likely causes: the object was overwritten, cut or swapped in the bucket. Remedy: restore "
        "it under this key, or run the execution again; let nothing but workers write there"
    ),
}


def is_lasting(error: BaseException) -> bool:
    """Whether trying again cannot help, with whatever worker."""
    return isinstance(error, _LASTING) and not isinstance(error, _OF_THIS_WORKER)


def as_failure(error: MistralOffloadError, *, size: int | None = None) -> ApplicationError:
    """A failure that Temporal does not try again, of the error's type, saying what to do."""
    text = str(error)
    if size is not None:
        text += f"; {size:,} bytes were offloaded"
    advice = _ADVICE.get(type(error))
    if advice is not None:
        text += f". {advice}"
    return _failure(type(error).__name__, text)


def to_payload(failure: ApplicationError) -> Payload:
    """What stands in for a payload that cannot be delivered."""
    members = {"type": failure.type, "message": failure.message}
    return Payload(metadata={"encoding": ENCODING.encode()}, data=json.dumps(members).encode())


def read_failure(payload: Payload) -> ApplicationError | None:
    """Why a payload cannot be delivered; None when it is an ordinary one."""
    if payload.metadata.get("encoding") != ENCODING.encode():
        return None
    members = cast("dict[str, str]", json.loads(payload.data))
    return _failure(members["type"], members["message"])


def require_delivered(values: Iterable[Any]) -> None:
    """Raise the failure of the first value that has one, also of those not read yet.

    Raises:
        ApplicationError: it cannot be retried.
    """
    for value in values:
        if isinstance(value, LostPayload):
            value.fail()
        if isinstance(value, RawValue):
            failure = read_failure(value.payload)
            if failure is not None:
                raise_failure(failure)


def raise_failure(failure: ApplicationError) -> NoReturn:
    """Raise a failure, in a way that ends what it is raised in.

    Raises:
        ApplicationError: the failure.
        ReplayImpossibleError: history has gone on after this place; the run is terminated.
    """
    lost = failure.type in _ENDING and temporalio.workflow.in_workflow()
    if lost and temporalio.workflow.unsafe.is_replaying_history_events():
        raise schedule_termination(failure)
    raise failure


class LostPayload:
    """Stands for a value that could not be had; whatever is done with it raises its failure."""

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
        return "<a value that could not be delivered>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):  # asked by copy, inspect and their like
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
