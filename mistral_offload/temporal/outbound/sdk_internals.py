"""Whose work the current asyncio task does: Temporal's worker's, or somebody else's.

Temporal runs the whole of a workflow task, from decoding to encoding, in one asyncio task, and the
whole of an activity in another. Which one this is shows in the task's coroutine. That is no public
interface, so `is_as_expected` tries it out on the installed version; where it fails, callers choose
what is safe without knowing.
"""

from __future__ import annotations

import asyncio
import functools
from collections.abc import Sequence
from typing import Any

import temporalio.activity
import temporalio.bridge.worker
from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.converter import DataConverter, PayloadCodec


def in_workflow_task() -> bool:
    """Whether a worker's workflow task is being decoded or encoded by the current task."""
    return _runs(_workflow_code())


def in_worker() -> bool:
    """Whether a worker decodes or encodes for itself: not an activity's code using a client."""
    if in_workflow_task():
        return True
    return _runs(_activity_code()) and not temporalio.activity.in_activity()


async def is_as_expected() -> bool:
    """Whether the installed temporalio encodes one completion in one task, one list at a time."""
    if _workflow_code() is None:
        return False
    codec = _Watching()
    completion: Any = WorkflowActivationCompletion()
    for number in range(3):
        command = completion.successful.commands.add().schedule_activity
        command.seq = number
        command.arguments.add(data=b"1")
    try:
        await temporalio.bridge.worker.encode_completion(
            completion,
            DataConverter(payload_codec=codec),
            encode_headers=False,
            storage_concurrency_limit=1,
        )
    except Exception:  # whatever a changed private interface raises
        return False
    return codec.calls == 3 and not codec.overlapped and codec.tasks == {asyncio.current_task()}


class _Watching(PayloadCodec):
    def __init__(self) -> None:
        self.calls = 0
        self.overlapped = False
        self.tasks: set[asyncio.Task[Any] | None] = set()
        self._running = 0

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        self.calls += 1
        self._running += 1
        self.overlapped |= self._running > 1
        self.tasks.add(asyncio.current_task())
        await asyncio.sleep(0)
        self._running -= 1
        return list(payloads)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)


def _runs(code: Any) -> bool:
    if code is None:
        return False
    try:
        task = asyncio.current_task()
    except RuntimeError:  # no loop runs in this thread
        return False
    return task is not None and getattr(task.get_coro(), "cr_code", None) is code


@functools.cache
def _workflow_code() -> Any:
    try:
        from temporalio.worker import _workflow as module  # pyright: ignore[reportPrivateUsage]

        worker: Any = module._WorkflowWorker  # pyright: ignore[reportPrivateUsage]
        return worker._handle_activation.__code__
    except (ImportError, AttributeError):
        return None


@functools.cache
def _activity_code() -> Any:
    try:
        from temporalio.worker import _activity as module  # pyright: ignore[reportPrivateUsage]

        worker: Any = module._ActivityWorker  # pyright: ignore[reportPrivateUsage]
        return worker._handle_start_activity_task.__code__
    except (ImportError, AttributeError):
        return None
