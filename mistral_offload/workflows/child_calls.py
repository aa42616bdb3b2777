"""Calls of child workflows, and of workflows outside a worker."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Literal, TypeVar, overload

import temporalio.workflow
from temporalio.common import RetryPolicy
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

from mistral_offload.errors import ConfigurationError
from mistral_offload.workflows.children import ChildExecution, Workflow, start_workflow
from mistral_offload.workflows.direct_run import run_directly
from mistral_offload.workflows.signatures import MISSING

R = TypeVar("R")

_OPTIONS = (
    "result_type",
    "execution_id",
    "execution_timeout",
    "retry_policy",
    "task_queue",
    "cancellation_type",
)
"""Options of `start_workflow` that are no members of the input, except the close policy."""


@overload
async def execute_workflow(
    workflow: type[Workflow[R]],
    input: Any = None,
    /,
    *,
    wait: Literal[True] = True,
    execution_id: str | None = None,
    execution_timeout: timedelta | None = None,
    retry_policy: RetryPolicy | None = None,
    task_queue: str | None = None,
    parent_close_policy: ParentClosePolicy | None = None,
    cancellation_type: ChildWorkflowCancellationType = (
        ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED
    ),
    **members: Any,
) -> R: ...


@overload
async def execute_workflow(
    workflow: type[Workflow[R]],
    input: Any = None,
    /,
    *,
    wait: Literal[False],
    execution_id: str | None = None,
    execution_timeout: timedelta | None = None,
    retry_policy: RetryPolicy | None = None,
    task_queue: str | None = None,
    parent_close_policy: ParentClosePolicy | None = None,
    cancellation_type: ChildWorkflowCancellationType = (
        ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED
    ),
    **members: Any,
) -> ChildExecution[R]: ...


@overload
async def execute_workflow(
    workflow: type | str,
    input: Any = None,
    /,
    *,
    wait: Literal[True] = True,
    result_type: type[R],
    execution_id: str | None = None,
    execution_timeout: timedelta | None = None,
    retry_policy: RetryPolicy | None = None,
    task_queue: str | None = None,
    parent_close_policy: ParentClosePolicy | None = None,
    cancellation_type: ChildWorkflowCancellationType = (
        ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED
    ),
    **members: Any,
) -> R: ...


@overload
async def execute_workflow(
    workflow: type | str,
    input: Any = None,
    /,
    *,
    wait: Literal[False],
    result_type: type[R],
    execution_id: str | None = None,
    execution_timeout: timedelta | None = None,
    retry_policy: RetryPolicy | None = None,
    task_queue: str | None = None,
    parent_close_policy: ParentClosePolicy | None = None,
    cancellation_type: ChildWorkflowCancellationType = (
        ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED
    ),
    **members: Any,
) -> ChildExecution[R]: ...


@overload
async def execute_workflow(
    workflow: type | str,
    input: Any = None,
    /,
    *,
    wait: Literal[False],
    result_type: Any = MISSING,
    execution_id: str | None = None,
    execution_timeout: timedelta | None = None,
    retry_policy: RetryPolicy | None = None,
    task_queue: str | None = None,
    parent_close_policy: ParentClosePolicy | None = None,
    cancellation_type: ChildWorkflowCancellationType = (
        ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED
    ),
    **members: Any,
) -> ChildExecution[Any]: ...


@overload
async def execute_workflow(
    workflow: type | str,
    input: Any = None,
    /,
    *,
    wait: bool = True,
    result_type: Any = MISSING,
    execution_id: str | None = None,
    execution_timeout: timedelta | None = None,
    retry_policy: RetryPolicy | None = None,
    task_queue: str | None = None,
    parent_close_policy: ParentClosePolicy | None = None,
    cancellation_type: ChildWorkflowCancellationType = (
        ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED
    ),
    **members: Any,
) -> Any: ...


@overload
async def execute_workflow(
    *,
    workflow: type[Workflow[R]],
    wait: Literal[True] = True,
    execution_id: str | None = None,
    execution_timeout: timedelta | None = None,
    retry_policy: RetryPolicy | None = None,
    task_queue: str | None = None,
    parent_close_policy: ParentClosePolicy | None = None,
    cancellation_type: ChildWorkflowCancellationType = (
        ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED
    ),
    **members: Any,
) -> R: ...


@overload
async def execute_workflow(
    *,
    workflow: type[Workflow[R]],
    wait: Literal[False],
    execution_id: str | None = None,
    execution_timeout: timedelta | None = None,
    retry_policy: RetryPolicy | None = None,
    task_queue: str | None = None,
    parent_close_policy: ParentClosePolicy | None = None,
    cancellation_type: ChildWorkflowCancellationType = (
        ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED
    ),
    **members: Any,
) -> ChildExecution[R]: ...


@overload
async def execute_workflow(
    *,
    workflow: type | str,
    wait: bool = True,
    result_type: Any = MISSING,
    execution_id: str | None = None,
    execution_timeout: timedelta | None = None,
    retry_policy: RetryPolicy | None = None,
    task_queue: str | None = None,
    parent_close_policy: ParentClosePolicy | None = None,
    cancellation_type: ChildWorkflowCancellationType = (
        ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED
    ),
    **members: Any,
) -> Any: ...


async def execute_workflow(
    workflow: Any = None,
    input: Any = None,
    /,
    *,
    wait: bool = True,
    parent_close_policy: ParentClosePolicy | None = None,
    **options: Any,
) -> Any:
    """Run a child workflow and return its result, or the running child with ``wait=False``.

    Outside a workflow, the class runs in this process, without Temporal: nothing is stored, its
    activities run in place, and the options have no effect. A workflow that sleeps, waits or starts
    children of its own by `start_workflow` needs a worker.

    Example::

        words = await workflows.execute_workflow(Transcription, params=Recording(url=url))
        child = await workflows.execute_workflow(Transcription, params=recording, wait=False)

    Args:
        workflow: a decorated class, or the name of a workflow. It can be passed by keyword.
        input: the input, as for `start_workflow`; also ``params=``.
        wait: False to return a `ChildExecution` as soon as the child has started; await it for the
            result.
        parent_close_policy: action on the child when this execution ends first. Default: with
            ``wait=False`` the child continues (``ABANDON``), otherwise it is terminated.
        options: the other options of `start_workflow`, and members of the input.

    Raises:
        TypeError: no workflow is given, or the input does not match the entrypoint's parameters.
        temporalio.exceptions.ChildWorkflowError: the child failed, was cancelled or timed out.
        PayloadDecodeError: its result does not match the entrypoint's return annotation.
        ConfigurationError: outside a workflow, with ``wait=False`` or the name of a workflow.
    """
    if workflow is None:
        workflow = options.pop("workflow", None)
        if workflow is None:
            raise TypeError("execute_workflow needs a workflow: its class, or its name")
    if not temporalio.workflow.in_workflow():
        if not wait:
            raise ConfigurationError(
                "execute_workflow with wait=False starts a child workflow, and only a workflow has "
                "children: elsewhere, start it with Mistral().workflows.execute_workflow"
            )
        members = {name: value for name, value in options.items() if name not in _OPTIONS}
        return await run_directly(workflow, input, members)
    policy = ParentClosePolicy.TERMINATE if wait else ParentClosePolicy.ABANDON
    child: ChildExecution[Any] = await start_workflow(
        workflow, input, parent_close_policy=parent_close_policy or policy, **options
    )
    return await child if wait else child
