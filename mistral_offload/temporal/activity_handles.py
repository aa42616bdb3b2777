"""Owners of payloads that are sent through handles of asynchronous activities.

Temporal gives a codec no context for them, unless the user sets one by `with_context`. A handle by
id knows its workflow, or the activity that has none. A task token is opaque, so what is sent by
token is unowned.
"""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from contextvars import ContextVar

import temporalio.client
from temporalio.client import (
    AsyncActivityIDReference,
    CompleteAsyncActivityInput,
    FailAsyncActivityInput,
    HeartbeatAsyncActivityInput,
    OutboundInterceptor,
    ReportCancellationAsyncActivityInput,
)

from mistral_offload.payload.context import PayloadContext
from mistral_offload.temporal.outbound.history_growth import outcome_floor_raised
from mistral_offload.temporal.wire.owner import PayloadOwner

_owner: ContextVar[PayloadOwner | None] = ContextVar("mistral_offload_handle_owner", default=None)


def handle_owner() -> PayloadOwner | None:
    """Return the owner of payloads that the current asyncio task sends through a handle.

    None outside of such calls, and for a handle by task token.
    """
    return _owner.get()


class ActivityHandleOwners(temporalio.client.Interceptor):
    """A client interceptor that names the owners of payloads sent through activity handles.

    Details of heartbeats get the client's ordinary threshold, since they replace each other.

    Args:
        namespace: the client's namespace.
    """

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """Add the owners to a client's chain of interceptors."""
        return _ActivityHandleOwners(next, self._namespace)


class _ActivityHandleOwners(OutboundInterceptor):
    def __init__(self, next: OutboundInterceptor, namespace: str) -> None:
        super().__init__(next)
        self._namespace = namespace

    async def heartbeat_async_activity(self, input: HeartbeatAsyncActivityInput) -> None:
        with self._owned(input.id_or_token), outcome_floor_raised():
            await super().heartbeat_async_activity(input)

    async def complete_async_activity(self, input: CompleteAsyncActivityInput) -> None:
        with self._owned(input.id_or_token):
            await super().complete_async_activity(input)

    async def fail_async_activity(self, input: FailAsyncActivityInput) -> None:
        with self._owned(input.id_or_token):
            await super().fail_async_activity(input)

    async def report_cancellation_async_activity(
        self, input: ReportCancellationAsyncActivityInput
    ) -> None:
        with self._owned(input.id_or_token):
            await super().report_cancellation_async_activity(input)

    @contextmanager
    def _owned(self, target: AsyncActivityIDReference | bytes) -> Generator[None]:
        owner = None
        if isinstance(target, AsyncActivityIDReference):
            context = PayloadContext(self._namespace, target.workflow_id or target.activity_id)
            stays_in_history = bool(target.workflow_id)
            owner = PayloadOwner(context, is_activity=True, stays_in_history=stays_in_history)
        token = _owner.set(owner)
        try:
            yield
        finally:
            _owner.reset(token)
