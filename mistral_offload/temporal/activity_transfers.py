"""Transfers an activity's arguments, result and heartbeat details inside of the activity.

Only there can heartbeats be sent, and do the activity's timeouts and its cancellation apply. Goes
with `WorkerDataConverter`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import temporalio.activity
import temporalio.client
import temporalio.worker
from temporalio.activity import Info
from temporalio.api.common.v1 import Payload
from temporalio.converter import ActivitySerializationContext, DataConverter
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ActivityOutboundInterceptor,
    ExecuteActivityInput,
)

from mistral_offload.config import LostBlobConfig
from mistral_offload.temporal.deferred_values import DeferredValues, EncodedValue
from mistral_offload.temporal.failures.lost_payloads import is_lasting
from mistral_offload.temporal.heartbeats import HeartbeatPace, PacedHeartbeats


class ActivityTransfers(temporalio.client.Interceptor, temporalio.worker.Interceptor):
    """The outermost interceptor of a worker's activities.

    It is one of the client's interceptors, which come before those of the worker: all others see
    decoded arguments.

    Args:
        converter: the data converter of the worker.
        pace: intervals at which the worker sends heartbeats.
    """

    def __init__(self, converter: DataConverter, pace: HeartbeatPace) -> None:
        self._converter = converter
        self._pace = pace

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Add the transfers to an activity's chain of interceptors."""
        return _ActivityTransfers(next, self._converter, self._pace)


class _ActivityTransfers(ActivityInboundInterceptor):
    def __init__(
        self, next: ActivityInboundInterceptor, converter: DataConverter, pace: HeartbeatPace
    ) -> None:
        super().__init__(next)
        self._converter = converter
        self._pace = pace

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._heartbeats = PacedHeartbeats(outbound, self._encode, self._pace)
        super().init(self._heartbeats)

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        info = temporalio.activity.info()
        details = info.heartbeat_details
        if isinstance(details, DeferredValues):
            self._heartbeats.resume_from(details.payloads)
        if isinstance(details, DeferredValues) or _are_deferred(input.args):
            async with self._heartbeats.keep_alive(info):
                input = replace(input, args=await _decode_arguments(input.args))
                if isinstance(details, DeferredValues):
                    details[:] = await _decode_details(details)
        try:
            result = await super().execute_activity(input)
        except BaseException:
            await self._heartbeats.flush()
            raise
        await self._heartbeats.drop()
        if info.heartbeat_timeout is None or info.is_local or self._converter.external_storage:
            return result
        async with self._heartbeats.keep_alive(info):
            [payload] = await _uninterrupted(self._encode([result]))
        return EncodedValue(payload)

    async def _encode(self, values: Sequence[Any]) -> list[Payload]:
        return await self._converter.with_context(_context(temporalio.activity.info())).encode(
            values
        )


def _are_deferred(args: Sequence[Any]) -> bool:
    # By type, not by isinstance, which would use a lost value: its failure is raised later.
    return type(args) is DeferredValues or (len(args) == 1 and type(args[0]) is DeferredValues)


async def _decode_arguments(args: Sequence[Any]) -> Sequence[Any]:
    try:
        if isinstance(args, DeferredValues):
            return await args.decode()
        # By type, not by isinstance, which would use a lost value: its failure is raised later.
        if len(args) == 1 and type(args[0]) is DeferredValues:  # of a dynamic activity
            return [await args[0].decode()]
    except Exception as error:
        raise ApplicationError("Failed decoding arguments") from error
    return args


async def _decode_details(details: DeferredValues) -> list[Any]:
    try:
        return await details.decode()
    except Exception as error:
        # A store that does not respond, or may be the wrong one, must not end the activity.
        raise ApplicationError(
            "Failed decoding heartbeat details", non_retryable=is_lasting(error, LostBlobConfig())
        ) from error


async def _uninterrupted(encoding: Any) -> list[Payload]:
    """Encode the result of an activity that has ended; it is reported also if it is cancelled."""
    task: asyncio.Task[list[Payload]] = asyncio.ensure_future(encoding)
    while not task.done():
        try:
            await asyncio.shield(task)
        except asyncio.CancelledError:
            if task.cancelled():
                raise
        except Exception:  # raised below
            break
    return task.result()


def _context(info: Info) -> ActivitySerializationContext:
    return ActivitySerializationContext(
        namespace=info.namespace,
        workflow_id=info.workflow_id,
        workflow_type=info.workflow_type,
        activity_type=info.activity_type,
        activity_id=info.activity_id,
        activity_task_queue=info.task_queue,
        is_local=info.is_local,
    )
