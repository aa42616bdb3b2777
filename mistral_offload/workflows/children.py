"""Child workflows, and continuing a workflow as a new run."""

from __future__ import annotations

from collections.abc import Coroutine, Generator
from datetime import timedelta
from typing import Any, Generic, NoReturn, Protocol, TypeVar, overload

import temporalio.workflow
from temporalio.common import RawValue, RetryPolicy
from temporalio.workflow import ChildWorkflowCancellationType, ParentClosePolicy

from mistral_offload.temporal.converter import json_of
from mistral_offload.workflows.arguments import take_whole
from mistral_offload.workflows.definitions import definition_of
from mistral_offload.workflows.results import ResultMapping
from mistral_offload.workflows.signatures import MISSING

R = TypeVar("R")
R_co = TypeVar("R_co", covariant=True)


class Workflow(Protocol[R_co]):
    """A workflow with results of one type: a class whose entrypoint is called ``run``.

    For annotations, as in ``def start(kind: type[Workflow[Document]])``; a workflow class need not
    derive from it. Type checkers infer the type of a child's result from it. For an entrypoint of
    another name they know none: pass ``result_type``.
    """

    def run(self, *args: Any, **kwargs: Any) -> Coroutine[Any, Any, R_co]:
        """The entrypoint."""
        ...


class ChildExecution(Generic[R]):
    """A started child workflow; awaiting it returns its result."""

    def __init__(
        self, handle: temporalio.workflow.ChildWorkflowHandle[Any, Any], result: ResultMapping
    ) -> None:
        self._handle = handle
        self._result = result

    @property
    def execution_id(self) -> str:
        """Execution id of the child."""
        return self._handle.id

    @property
    def id(self) -> str:
        """The same as ``execution_id``, under Temporal's name."""
        return self._handle.id

    @property
    def run_id(self) -> str | None:
        """Id of the child's first run."""
        return self._handle.first_execution_run_id

    def __await__(self) -> Generator[Any, Any, R]:
        return self._read().__await__()

    async def signal(self, name: str, input: Any = None, /, **members: Any) -> None:
        """Send the child a signal; its input is one object, or members by keyword."""
        value = input if input is not None else dict(members) or None
        await self._handle.signal(name, args=[] if value is None else [value])

    def cancel(self) -> bool:
        """Request cancellation of the child; return False when it has ended already."""
        return self._handle.cancel()

    async def _read(self) -> R:
        raw: Any = await self._handle
        if not isinstance(raw, RawValue):
            return raw  # type: ignore[no-any-return]
        data = json_of(raw.payload)
        if data is None:
            return temporalio.workflow.payload_converter().from_payload(raw.payload)  # type: ignore[no-any-return]
        return self._result.read(data)  # type: ignore[no-any-return]


@overload
async def start_workflow(
    workflow: type[Workflow[R]],
    input: Any = None,
    /,
    *,
    execution_id: str | None = None,
    execution_timeout: timedelta | None = None,
    retry_policy: RetryPolicy | None = None,
    task_queue: str | None = None,
    parent_close_policy: ParentClosePolicy = ParentClosePolicy.TERMINATE,
    cancellation_type: ChildWorkflowCancellationType = (
        ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED
    ),
    **members: Any,
) -> ChildExecution[R]: ...


@overload
async def start_workflow(
    workflow: type | str,
    input: Any = None,
    /,
    *,
    result_type: type[R],
    execution_id: str | None = None,
    execution_timeout: timedelta | None = None,
    retry_policy: RetryPolicy | None = None,
    task_queue: str | None = None,
    parent_close_policy: ParentClosePolicy = ParentClosePolicy.TERMINATE,
    cancellation_type: ChildWorkflowCancellationType = (
        ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED
    ),
    **members: Any,
) -> ChildExecution[R]: ...


@overload
async def start_workflow(
    workflow: type | str,
    input: Any = None,
    /,
    *,
    result_type: Any = MISSING,
    execution_id: str | None = None,
    execution_timeout: timedelta | None = None,
    retry_policy: RetryPolicy | None = None,
    task_queue: str | None = None,
    parent_close_policy: ParentClosePolicy = ParentClosePolicy.TERMINATE,
    cancellation_type: ChildWorkflowCancellationType = (
        ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED
    ),
    **members: Any,
) -> ChildExecution[Any]: ...


async def start_workflow(
    workflow: Any,
    input: Any = None,
    /,
    *,
    result_type: Any = MISSING,
    execution_id: str | None = None,
    execution_timeout: timedelta | None = None,
    retry_policy: RetryPolicy | None = None,
    task_queue: str | None = None,
    parent_close_policy: ParentClosePolicy = ParentClosePolicy.TERMINATE,
    cancellation_type: ChildWorkflowCancellationType = (
        ChildWorkflowCancellationType.WAIT_CANCELLATION_COMPLETED
    ),
    **members: Any,
) -> ChildExecution[Any]:
    """Start a child workflow without waiting for its end; await the returned object for the result.

    Example::

        child = await workflows.workflow.start_workflow(Transcription, url=url)
        words = await child

    Args:
        workflow: a decorated class, or the name of a workflow.
        input: input as one object (a dict or a model), or, for an entrypoint with one parameter,
            the value of that parameter. It can be passed as ``params=``, too, and members can be
            given by keyword instead.
        result_type: return type of the entrypoint, if ``workflow`` is a name.
        execution_id: id of the child. Default: a random one.
        execution_timeout: time limit of the child. Default: that of the class, if it is one.
        retry_policy: retries of a failed child. Default: none.
        task_queue: task queue of the worker that runs the child. Default: this worker's.
        parent_close_policy: action on the child when this execution ends first.
        cancellation_type: effect on the child when waiting for it is cancelled.
        members: members of the input. A workflow given by name takes ``params`` as the input.

    Raises:
        TypeError: the input does not match the entrypoint's parameters, or a keyword is neither an
            option nor a member of the input.
    """
    result = ResultMapping(result_type)
    if isinstance(workflow, str):
        given, rest = take_whole(input, members)
        if given is not None and rest:
            raise TypeError(f"pass the input of {workflow!r} as one object or by keyword, not both")
        name, value = workflow, given if given is not None else rest or None
    else:
        definition = definition_of(workflow)
        name = definition.name
        value = definition.entrypoint.input.write(input, members)
        execution_timeout = execution_timeout or definition.execution_timeout
        if result_type is MISSING:
            result = definition.entrypoint.result
    handle = await temporalio.workflow.start_child_workflow(
        name,
        args=[] if value is None else [value],
        id=execution_id,
        result_type=RawValue,
        execution_timeout=execution_timeout,
        retry_policy=retry_policy,
        task_queue=task_queue,
        parent_close_policy=parent_close_policy,
        cancellation_type=cancellation_type,
    )
    return ChildExecution(handle, result)


def continue_as_new(input: Any = None, /, **members: Any) -> NoReturn:
    """End this run and start the workflow again under the same id, with an empty history.

    The input is one object, or members by keyword, as for `start_workflow`. This function never
    returns.

    Raises:
        TypeError: the input does not match the entrypoint's parameters, or a keyword is no member
            of the input.
    """
    instance: object = temporalio.workflow.instance()
    definition = definition_of(type(instance))
    value = definition.entrypoint.input.write(input, members)
    temporalio.workflow.continue_as_new(args=[] if value is None else [value])
