"""Payloads that may become readable: the task that needs one is retried, and nothing is ended.

A blob that a worker does not find may be lost, but the worker may also have the wrong bucket or
prefix. A payload that it cannot decrypt may need a key that only other workers have. Then another
worker, or this one after its settings are fixed, can continue the execution.

A workflow task that fails is retried without end, but an activity has a number of attempts. So each
attempt that ends for want of a payload is given back.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import suppress
from contextvars import ContextVar
from datetime import timedelta

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.activity import Info
from temporalio.api.activity.v1 import ActivityOptions
from temporalio.api.common.v1 import RetryPolicy, WorkflowExecution
from temporalio.api.workflowservice.v1 import UpdateActivityOptionsRequest
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from mistral_offload.config import LostBlobConfig
from mistral_offload.errors import (
    BlobNotFoundError,
    EncryptionNotConfiguredError,
    MistralOffloadError,
    OffloadingNotConfiguredError,
    PayloadDecryptionError,
)

_logger = logging.getLogger("mistral_offload.worker")

_PAUSE = timedelta(seconds=5)
_LONG_PAUSE = timedelta(seconds=60)
"""Pause before the next attempt of an activity whose attempts are used up by waiting."""

_RPC_TIMEOUT = timedelta(seconds=10)

_client: ContextVar[Client | None] = ContextVar("mistral_offload_worker_client", default=None)


class AwaitedPayloadError(ApplicationError):
    """A payload cannot be read here and now; raised in an activity, whose attempt it ends."""

    def __init__(self, message: str, *, kind: str | None, pause: timedelta | None = None) -> None:
        super().__init__(message, type=kind, next_retry_delay=pause or _PAUSE)


class WorkflowTaskRetryError(Exception):
    """A payload cannot be read here and now; raised in a workflow, whose task is retried."""


def may_be_readable_elsewhere(error: MistralOffloadError) -> bool:
    """Return True if a worker with other settings may be able to read the payload.

    A store that does not respond is no such error.
    """
    if isinstance(error, PayloadDecryptionError):
        return error.needs_other_key
    return isinstance(
        error, BlobNotFoundError | EncryptionNotConfiguredError | OffloadingNotConfiguredError
    )


def describe_awaited(error: MistralOffloadError, lost_blobs: LostBlobConfig) -> str:
    """Return the text of an error; for a missing blob, with what is missing to call it lost."""
    if isinstance(error, PayloadDecryptionError) and error.needs_other_key:
        return (
            f"{error}. Nothing is ended, and the task is retried, because a worker with other keys "
            "may be able to continue. Remedy: give this worker all keys that its executions still "
            "need (main_key, secondary_key, retired_keys), or stop it. If the key is lost for "
            "good, set LOST_BLOBS__WITHOUT_EVIDENCE=true (OffloadPlugin: "
            "lost_blobs=LostBlobConfig(without_evidence=True)) to let executions end whose "
            "payloads no key decrypts"
        )
    if not isinstance(error, BlobNotFoundError):
        return str(error)
    missing: list[str] = []
    if not (error.store_is_proven or lost_blobs.without_evidence):
        missing.append(
            "there is no evidence that this is the right store: this process has not read another "
            "blob of the same execution there that it had not written itself"
        )
    if error.missing_seconds < lost_blobs.after_seconds:
        missing.append(
            f"it has been missing for {error.missing_seconds:.0f} s of "
            f"{lost_blobs.after_seconds:g} s"
        )
    return (
        f"{error}. Nothing is ended, and the task is retried, because "
        + "; and ".join(missing)
        + ". Remedy: check bucket and prefix of this worker (mistral-offload doctor). If they are "
        "right, restore the blob under this key, or set LOST_BLOBS__WITHOUT_EVIDENCE=true "
        "(OffloadPlugin: lost_blobs=LostBlobConfig(without_evidence=True)) to let executions end "
        "whose blobs are gone"
    )


def warn_of_awaited(
    error: MistralOffloadError, execution_id: str | None, lost_blobs: LostBlobConfig
) -> None:
    """Log a warning about an execution that waits for a worker that can read a payload."""
    _logger.warning(
        "Execution %s waits for a %s: %s",
        execution_id or "(unknown)",
        "blob" if isinstance(error, BlobNotFoundError) else "worker with other settings",
        describe_awaited(error, lost_blobs),
    )


def use_client(client: Client) -> None:
    """Let activities of workers that are started in this context give attempts back."""
    _client.set(client)


async def give_attempt_back(failure: AwaitedPayloadError, info: Info) -> AwaitedPayloadError:
    """Raise an activity's number of attempts by one, also if the activity is cancelled meanwhile.

    A worker that shuts down cancels its activities; without this its last one could use up the
    attempts that others need.

    Args:
        failure: the failure of the current attempt.
        info: the activity.

    Returns:
        The failure to raise. If the attempt could not be given back, the next one comes later.
    """
    policy = info.retry_policy
    if policy is None or policy.maximum_attempts == 0:
        return failure
    change = asyncio.ensure_future(_raise_maximum(info, policy.maximum_attempts + 1))
    while not change.done():
        with suppress(asyncio.CancelledError):
            await asyncio.wait([change])
    problem = change.result()
    if problem is None:
        return failure
    _logger.error(
        "Activity %s of workflow %s waits for a payload, and attempt %d of %d is used up by that: "
        "%s",
        info.activity_type,
        info.workflow_id,
        info.attempt,
        policy.maximum_attempts,
        problem,
    )
    return AwaitedPayloadError(failure.message, kind=failure.type, pause=_LONG_PAUSE)


async def _raise_maximum(info: Info, maximum: int) -> str | None:
    """Change the maximum of attempts; return the reason if that is not possible."""
    client = _client.get()
    if info.is_local or not info.workflow_id or client is None:
        return "the number of attempts of this kind of activity or worker cannot be changed"
    request = UpdateActivityOptionsRequest(
        namespace=info.workflow_namespace or client.namespace,
        execution=WorkflowExecution(
            workflow_id=info.workflow_id, run_id=info.workflow_run_id or ""
        ),
        identity=client.identity,
        id=info.activity_id,
        activity_options=ActivityOptions(retry_policy=RetryPolicy(maximum_attempts=maximum)),
        update_mask=FieldMask(paths=["retry_policy.maximum_attempts"]),
    )
    try:
        await client.workflow_service.update_activity_options(
            request, retry=True, timeout=_RPC_TIMEOUT
        )
    except RPCError as error:
        return f"Temporal refused to change the number of attempts: {error}"
    return None
