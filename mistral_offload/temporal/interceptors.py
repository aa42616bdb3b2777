"""Adds a context to every value that a workflow or an activity sends, and floors to calls.

The values are arguments of activities, children, signals and continued runs, and results of
workflows, queries, updates and activities. As on the platform, only activities receive the
execution token.

Once a history has grown, calls carry the offloading floor of their results; `history_growth` says
why.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, NoReturn

import temporalio.activity
import temporalio.workflow
from nexusrpc.handler import StartOperationResultAsync, StartOperationResultSync
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError
from temporalio.worker import (
    ActivityInboundInterceptor,
    ContinueAsNewInput,
    ExecuteActivityInput,
    ExecuteNexusOperationCancelInput,
    ExecuteNexusOperationStartInput,
    ExecuteWorkflowInput,
    HandleQueryInput,
    HandleSignalInput,
    HandleUpdateInput,
    Interceptor,
    NexusOperationInboundInterceptor,
    SignalChildWorkflowInput,
    SignalExternalWorkflowInput,
    StartActivityInput,
    StartChildWorkflowInput,
    StartLocalActivityInput,
    StartNexusOperationInput,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
    WorkflowOutboundInterceptor,
)

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.context import PayloadContext
from mistral_offload.storage.protection import begin_protection
from mistral_offload.temporal.context import (
    activity_context,
    received_context,
    without_empty,
    workflow_context,
    wrap,
    wrap_arguments,
)
from mistral_offload.temporal.failures.awaited_payloads import (
    AwaitedPayloadError,
    give_attempt_back,
)
from mistral_offload.temporal.failures.lost_value import require_delivered, unmasked
from mistral_offload.temporal.outbound.history_growth import (
    FLOOR_HEADER,
    HistoryGrowth,
    current_history,
    parse_floor,
    received_floor,
    set_outcome_floor,
)
from mistral_offload.temporal.worker_scope import nexus_code, note_activity_task, note_worker


class ContextInterceptor(Interceptor):
    """A worker interceptor that adds contexts; needs the converter made by `data_converter`.

    Example:
        ``Worker(client, task_queue=…, workflows=[…], interceptors=[ContextInterceptor()])``

    Args:
        add_contexts: False to leave values without a context: payloads that need no change then
            have Temporal's own encodings, which every process can read. Lost values are raised and
            floors are added to calls either way.
    """

    def __init__(self, *, add_contexts: bool = True) -> None:
        self._adds_contexts = add_contexts

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:
        """Add contexts to the results of activities."""
        note_worker()
        return _ActivityContext(next, adds_contexts=self._adds_contexts)

    def intercept_nexus_operation(
        self, next: NexusOperationInboundInterceptor
    ) -> NexusOperationInboundInterceptor:
        """Fail operations whose input is lost, and apply the floors of their callers."""
        note_worker()
        return _NexusOperations(next)

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,
    ) -> type[WorkflowInboundInterceptor]:
        """Add contexts to the values that workflows send and return."""
        note_worker()
        return _WorkflowContext if self._adds_contexts else _PlainWorkflow


class _ActivityContext(ActivityInboundInterceptor):
    def __init__(self, next: ActivityInboundInterceptor, *, adds_contexts: bool) -> None:
        super().__init__(next)
        self._adds_contexts = adds_contexts

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:
        note_activity_task()
        info = temporalio.activity.info()
        try:
            return await self._execute(input, info)
        except AwaitedPayloadError as failure:
            raise await give_attempt_back(failure, info) from None

    async def _execute(self, input: ExecuteActivityInput, info: temporalio.activity.Info) -> Any:
        require_delivered((*input.args, *info.heartbeat_details))
        arguments = without_empty(input.args, input.fn)
        received = _received(arguments) if self._adds_contexts else None
        # The run is open at least since it scheduled the activity, by the server's clock.
        open_since = time.monotonic() - (info.started_time - info.scheduled_time).total_seconds()
        # Heartbeat details replace each other, and are not part of the history.
        set_outcome_floor(None)
        try:
            if arguments is not input.args:
                input = replace(input, args=arguments)
            result = await super().execute_activity(input)
        finally:
            if info.workflow_id:  # else the result is read by clients
                set_outcome_floor(received_floor(input.headers))
        if info.workflow_id:
            begin_protection(open_since)  # for the result; clients in the activity have none
        context = activity_context(info, received) if self._adds_contexts else None
        return result if context is None else wrap(result, context)


class _NexusOperations(NexusOperationInboundInterceptor):
    async def execute_nexus_operation_start(
        self, input: ExecuteNexusOperationStartInput
    ) -> StartOperationResultSync[Any] | StartOperationResultAsync:
        require_delivered([input.input])
        try:
            with nexus_code():
                return await super().execute_nexus_operation_start(input)
        finally:
            # The result stays in the history of a calling workflow.
            set_outcome_floor(parse_floor(input.ctx.headers.get(FLOOR_HEADER)))

    async def execute_nexus_operation_cancel(self, input: ExecuteNexusOperationCancelInput) -> None:
        with nexus_code():
            await super().execute_nexus_operation_cancel(input)


class _OwnContext:
    """The context of one workflow run, shared by its inbound and outbound interceptor.

    Attributes:
        floor_header: the header that this run received from its parent, or None.
    """

    def __init__(self) -> None:
        self._context: PayloadContext | None = None
        self._history: HistoryGrowth | None = None
        self.floor_header: Payload | None = None

    @property
    def history(self) -> HistoryGrowth:
        """The history of the run; to be used inside the workflow."""
        if self._history is None:
            self._history = current_history()
        return self._history

    def receive(self, arguments: Any) -> None:
        """Take over the context that came with the input."""
        self._context = workflow_context(temporalio.workflow.info(), _received(arguments))

    def wrap(self, value: Any) -> Any:
        """Return a value with the context, for the readers of a workflow's results."""
        return wrap(value, self._full.without_token())

    def wrap_arguments(
        self, arguments: Sequence[Any], *, with_token: bool = False
    ) -> Sequence[Any]:
        """Return the arguments of a call with the context."""
        context = self._full if with_token else self._full.without_token()
        return wrap_arguments(arguments, context)

    @property
    def _full(self) -> PayloadContext:
        # A signal can be handled before the input is received. Temporal's facts must suffice then.
        return self._context or workflow_context(temporalio.workflow.info())


class _NoContext(_OwnContext):
    """Leaves all values as they are."""

    def receive(self, arguments: Any) -> None:
        pass

    def wrap(self, value: Any) -> Any:
        return value

    def wrap_arguments(
        self, arguments: Sequence[Any], *, with_token: bool = False
    ) -> Sequence[Any]:
        return arguments


class _WorkflowContext(WorkflowInboundInterceptor):
    _context_class: type[_OwnContext] = _OwnContext

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        self._own = self._context_class()
        super().init(_OutboundContext(outbound, self._own))

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
        require_delivered(input.args)
        self._own.receive(input.args)
        self._own.floor_header = input.headers.get(FLOOR_HEADER)
        arguments = without_empty(input.args, input.run_fn)
        # A child's result stays in its parent's history; any other is read by clients.
        has_parent = temporalio.workflow.info().parent is not None
        try:
            with unmasked():
                result = await super().execute_workflow(replace(input, args=arguments))
        finally:
            set_outcome_floor(received_floor(input.headers) if has_parent else None)
        return self._own.wrap(result)

    async def handle_signal(self, input: HandleSignalInput) -> None:
        require_delivered(input.args)
        self._own.history.check()
        handler = _signal_handler(input.signal)
        arguments = without_empty(input.args, handler) if handler else input.args
        with unmasked():
            await super().handle_signal(replace(input, args=arguments))

    async def handle_query(self, input: HandleQueryInput) -> Any:
        require_delivered(input.args)
        set_outcome_floor(None)  # not part of the history
        with unmasked():
            result = await super().handle_query(input)
        # Results of Temporal's own queries are read by its UI and CLI, which do not know contexts.
        return result if input.query.startswith("__") else self._own.wrap(result)

    def handle_update_validator(self, input: HandleUpdateInput) -> None:
        require_delivered(input.args)
        with unmasked():
            super().handle_update_validator(input)

    async def handle_update_handler(self, input: HandleUpdateInput) -> Any:
        require_delivered(input.args)
        with unmasked():
            result = await super().handle_update_handler(input)
        return self._own.wrap(result)


class _PlainWorkflow(_WorkflowContext):
    _context_class = _NoContext


class _OutboundContext(WorkflowOutboundInterceptor):
    def __init__(self, next: WorkflowOutboundInterceptor, own: _OwnContext) -> None:
        super().__init__(next)
        self._own = own

    def start_activity(self, input: StartActivityInput) -> temporalio.workflow.ActivityHandle[Any]:
        with self._own.history.calling(input.headers) as call:
            arguments = self._own.wrap_arguments(input.args, with_token=True)
            if arguments is not input.args or call.headers is not input.headers:
                input = replace(input, args=arguments, headers=call.headers)
            handle = super().start_activity(input)
            call.end_with(handle)
        return handle

    def start_local_activity(
        self,
        input: StartLocalActivityInput,
    ) -> temporalio.workflow.ActivityHandle[Any]:
        with self._own.history.calling(input.headers, is_local=True) as call:
            arguments = self._own.wrap_arguments(input.args, with_token=True)
            handle = super().start_local_activity(
                replace(input, args=arguments, headers=call.headers)
            )
            call.end_with(handle)
        return handle

    async def start_child_workflow(
        self,
        input: StartChildWorkflowInput,
    ) -> temporalio.workflow.ChildWorkflowHandle[Any, Any]:
        with self._own.history.calling(input.headers) as call:
            arguments = self._own.wrap_arguments(input.args)
            handle = await super().start_child_workflow(
                replace(input, args=arguments, headers=call.headers)
            )
            call.end_with(handle)
        return handle

    async def start_nexus_operation(
        self, input: StartNexusOperationInput[Any, Any]
    ) -> temporalio.workflow.NexusOperationHandle[Any]:
        with self._own.history.calling({}) as call:
            floor = call.headers.get(FLOOR_HEADER)
            if floor is not None:
                headers = {**(input.headers or {}), FLOOR_HEADER: floor.data.decode()}
                input = replace(input, headers=headers)
            handle = await super().start_nexus_operation(input)
        # The result of a synchronous operation is there now. Others are those of workflows, which
        # do not know the floor.
        call.forget()
        return handle

    async def signal_child_workflow(self, input: SignalChildWorkflowInput) -> None:
        await super().signal_child_workflow(
            replace(input, args=self._own.wrap_arguments(input.args))
        )

    async def signal_external_workflow(self, input: SignalExternalWorkflowInput) -> None:
        await super().signal_external_workflow(
            replace(input, args=self._own.wrap_arguments(input.args))
        )

    def continue_as_new(self, input: ContinueAsNewInput) -> NoReturn:
        # Converted here, because Temporal converts them where an error makes the run hang.
        args = _converted(self._own.wrap_arguments(input.args))
        memo = input.memo and dict(
            zip(input.memo, _converted(list(input.memo.values())), strict=True)
        )
        headers = dict(input.headers)
        if self._own.floor_header is not None:
            headers.setdefault(FLOOR_HEADER, self._own.floor_header)
        super().continue_as_new(replace(input, args=args, memo=memo, headers=headers))


def _received(arguments: Any) -> PayloadContext | None:
    """Return the received context; a malformed one fails the call, since no retry can fix it."""
    raw = [argument for argument in arguments if isinstance(argument, RawValue)]
    try:
        return received_context(raw)
    except PayloadDecodeError as error:
        raise ApplicationError(str(error), type="InvalidInputError", non_retryable=True) from error


def _converted(values: Sequence[Any]) -> list[RawValue]:
    payloads = temporalio.workflow.payload_converter().to_payloads(values) if values else []
    return [RawValue(payload) for payload in payloads]


def _signal_handler(name: str) -> Callable[..., Any] | None:
    return temporalio.workflow.get_signal_handler(name)  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]
