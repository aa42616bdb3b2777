"""Restores the fields in an activity's arguments, and offloads those of its result.

Both happen inside the activity, so its timeouts, retries and cancellation apply to them.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Generator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, get_type_hints

import temporalio.activity
from temporalio.activity import Info
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
    Interceptor,
)

from mistral_offload.config import LostBlobConfig
from mistral_offload.errors import BlobNotFoundError, MistralOffloadError
from mistral_offload.fields.file_heartbeats import FileHeartbeats
from mistral_offload.fields.offloader import FieldOffloader
from mistral_offload.fields.restoration import CallArguments, is_lazy
from mistral_offload.files.activity_files import FilePlace, storing_files
from mistral_offload.files.progress import observing_transfers
from mistral_offload.files.reference import root_of_run
from mistral_offload.payload.field_reference import FIELD_ROOT
from mistral_offload.temporal.failures.awaited_payloads import (
    AwaitedPayloadError,
    describe_awaited,
    may_be_readable_elsewhere,
    warn_of_awaited,
)
from mistral_offload.temporal.failures.lost_payloads import as_failure, is_lasting
from mistral_offload.temporal.heartbeats import Heartbeats, pause_seconds


class FieldInterceptor(Interceptor):
    """Worker interceptor that transfers fields; register it after `ContextInterceptor`, if any.

    Args:
        offloader: transfers the fields.
        lost_blobs: conditions under which a missing blob fails an activity for good. Until then its
            attempts are repeated.
    """

    def __init__(
        self, offloader: FieldOffloader, *, lost_blobs: LostBlobConfig = LostBlobConfig()
    ) -> None:
        self._offloader = offloader
        self._lost_blobs = lost_blobs

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Add an interceptor that restores arguments and offloads results."""
        return _ActivityFields(next, self._offloader, self._lost_blobs)


class _ActivityFields(ActivityInboundInterceptor):
    def __init__(
        self,
        next: ActivityInboundInterceptor,
        offloader: FieldOffloader,
        lost_blobs: LostBlobConfig,
    ) -> None:
        super().__init__(next)
        self._offloader = offloader
        self._lost_blobs = lost_blobs

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        # Those of `ActivityTransfers`, if no other interceptor has wrapped them.
        self._heartbeats = outbound if isinstance(outbound, Heartbeats) else Heartbeats(outbound)
        super().init(self._heartbeats)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = temporalio.activity.info()
        self._heartbeats.hide_progress(info)
        files = self._offloader.files
        if files is None:
            return await self._execute(input, info)
        root = root_of_run(info.workflow_namespace or "", info.workflow_run_id or info.activity_id)
        heartbeats = FileHeartbeats(self._heartbeats, pause_seconds(info))
        try:
            with storing_files(FilePlace(files, root)), observing_transfers(heartbeats):
                return await self._execute(input, info)
        finally:
            heartbeats.close()

    async def _execute(self, input: ExecuteActivityInput, info: Info) -> Any:
        try:
            async with self._heartbeats.keep_alive(info):
                arguments = await self._restore_arguments(input)
        except MistralOffloadError as error:
            raise self._unreadable(error, info) from error
        try:
            result = await super().execute_activity(replace(input, args=arguments))
        except BlobNotFoundError as error:
            if f"{FIELD_ROOT}/" not in (error.key or ""):  # read by a client in the activity
                raise
            raise self._unreadable(error, info) from error
        with _raising_nonretryable(self._lost_blobs):
            async with self._heartbeats.keep_alive(info):
                return await self._offloader.offload_async(
                    result,
                    namespace=info.workflow_namespace or "",
                    run_id=info.workflow_run_id or info.activity_id,
                )

    def _unreadable(self, error: MistralOffloadError, info: Info) -> ApplicationError:
        """Return the failure of an activity that needs a field which cannot be read."""
        if is_lasting(error, self._lost_blobs):
            return as_failure(error)
        if may_be_readable_elsewhere(error):
            warn_of_awaited(error, info.workflow_id, self._lost_blobs)
        text = describe_awaited(error, self._lost_blobs)
        return AwaitedPayloadError(text, kind=type(error).__name__)

    async def _restore_arguments(self, input: ExecuteActivityInput) -> Sequence[Any]:
        if len(input.args) == 1 and isinstance(input.args[0], CallArguments):
            call = input.args[0]
            return [replace(call, values=await self._restore_values(call.values, call.lazy))]
        values = {str(position): value for position, value in enumerate(input.args)}
        annotations = _annotations(input.fn) if values else []
        lazy = [str(position) for position, given in enumerate(annotations) if is_lazy(given)]
        return list((await self._restore_values(values, frozenset(lazy))).values())

    async def _restore_values(self, values: dict[str, Any], lazy: frozenset[str]) -> dict[str, Any]:
        eager = {name: value for name, value in values.items() if name not in lazy}
        deferred = {name: value for name, value in values.items() if name in lazy}
        restored = {
            **await self._offloader.restore_async(eager),
            **await self._offloader.restore_async(deferred, lazy=True),
        }
        return {name: restored[name] for name in values}


def _annotations(function: Callable[..., Any]) -> list[Any]:
    """Return the annotations of a function's parameters; empty if they cannot be resolved."""
    try:
        hints = get_type_hints(function, include_extras=True)
        names = [name for name in inspect.signature(function).parameters if name != "self"]
    except (NameError, TypeError, ValueError):
        return []
    return [hints.get(name, Any) for name in names]


@contextmanager
def _raising_nonretryable(lost_blobs: LostBlobConfig) -> Generator[None]:
    """Make errors that a retry cannot fix non-retryable."""
    try:
        yield
    except MistralOffloadError as error:
        if is_lasting(error, lost_blobs):
            raise as_failure(error) from error
        raise
