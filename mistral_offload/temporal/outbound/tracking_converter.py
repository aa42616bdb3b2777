"""A wrapper of payload converters that records, rejects and raises.

It records outgoing payloads, rejects oversized ones, and raises the errors of lost ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from itertools import zip_longest
from typing import Any, TypeGuard

import temporalio.workflow
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    PayloadConverter,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)
from temporalio.exceptions import ApplicationError
from typing_extensions import Self

from mistral_offload.errors import KeyTooLongError, PayloadSerializationError
from mistral_offload.limits import SMALLEST_OFFLOADED_BYTES
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.failures.awaited_payloads import AwaitedPayloadError
from mistral_offload.temporal.failures.lost_payloads import (
    LENIENT,
    as_failure,
    raise_failure,
    read_failure,
)
from mistral_offload.temporal.failures.lost_value import LostPayload, require_delivered
from mistral_offload.temporal.outbound.history_growth import (
    HistoryGrowth,
    outcome_floor,
    register_history,
)
from mistral_offload.temporal.outbound.outbox import Outbox
from mistral_offload.temporal.outbound.sdk_internals import (
    converts_command,
    converts_for_workflow,
    workflow_entered,
)
from mistral_offload.temporal.outbound.size_budget import unencoded_size_error, unstorable_error
from mistral_offload.temporal.wire.held_payload import (
    PayloadParts,
    data_size,
    holding,
    is_holding,
    to_message,
)
from mistral_offload.temporal.wire.owner import PayloadOwner


class TrackingConverter(PayloadConverter, WithSerializationContext):
    """Converts values like another converter; used with `OffloadingCodec` and `ContextInterceptor`.

    Every workflow run has an instance of its own, from which copies with a context are made. The
    first context is the run's own.

    Args:
        inner: converts the values.
        encoder: encodes the payloads later; without offloading, large payloads are rejected here.
        has_own_codec: True if the application's own codec encodes the payloads before; their size
            in a message is then unknown here.

    Attributes:
        is_adopted: True if the inner converter is the application's, which may take a context.
        holds_data: True if every payload of a command goes to an `OffloadingCodec` as it is. Small
            stand-ins then take the place of large ones; see `Outbox.record`. The application's
            own codec would get them, so it has no effect together with one.
    """

    holds_data = False
    is_adopted = True

    def __init__(
        self, inner: PayloadConverter, encoder: PayloadEncoder, *, has_own_codec: bool = False
    ) -> None:
        self._inner = inner
        self._encoder = encoder
        self._has_own_codec = has_own_codec
        self._context: SerializationContext | None = None
        self._run = _Run(HistoryGrowth(encoder.history_floor_bytes))

    def with_context(self, context: SerializationContext) -> Self:
        """Return a copy of this converter for the payloads of one workflow or activity."""
        # Called twice for each activity; `copy.copy` takes three times as long.
        other = object.__new__(type(self))
        vars(other).update(vars(self))
        other._context = context
        if self._run.own is None:
            self._run.own = context
        if self.is_adopted and isinstance(self._inner, WithSerializationContext):
            other._inner = self._inner.with_context(context)
        return other

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        """Convert values to payloads.

        Raises:
            PayloadSerializationError: a value cannot be written as JSON; inside a workflow this is
                also an ApplicationError.
            ApplicationError: a value is a lost payload; or, inside a workflow, the list is over the
                platform's limit and offloading is off, or not possible for this execution.
        """
        require_delivered(values)
        offloads, in_workflow = self._encoder.offloads, temporalio.workflow.in_workflow()
        holds = self.holds_data and offloads and in_workflow and not self._has_own_codec
        try:
            payloads = self._converted(values, holds=holds and converts_command())
        except PayloadSerializationError as refusal:
            if not in_workflow:
                raise
            raise _WorkflowSerializationError(str(refusal)) from refusal.__cause__
        if LENIENT.get():  # details of a failure, which must be delivered
            unstorable = self._unstorable_error(payloads, self._owner())
            if unstorable is not None:
                text = f"[mistral-offload left out details of a failure: {unstorable}]"
                payloads = self._inner.to_payloads([text])
        if not in_workflow:
            return payloads
        if self._run.loop is None:
            self._run.loop = asyncio.get_running_loop()
            register_history(self._run.history)
        if not self._has_own_codec:
            error = unencoded_size_error(payloads, self._encoder)
            if error is not None:
                raise as_failure(error)
        if not offloads:
            return payloads
        if all(map(_is_small, payloads)):
            return [to_message(payload) for payload in payloads]
        owner = self._owner()
        unstorable = self._unstorable_error(payloads, owner)
        if unstorable is not None:
            raise as_failure(unstorable)
        # Arguments of local activities stay in the worker.
        floor = None if owner.is_local else outcome_floor(self._run.history.floor)
        return self._run.outbox.record(payloads, owner, floor=floor, context=self._context)

    def _converted(self, values: Sequence[Any], *, holds: bool) -> list[Payload]:
        if not holds and not is_holding():  # as almost always
            return self._inner.to_payloads(values)
        with holding(holds):
            return self._inner.to_payloads(values)

    def _owner(self) -> PayloadOwner:
        context, own = self._context, self._run.own
        owner = PayloadOwner() if context is None else PayloadOwner.of(context)
        if own is None or not temporalio.workflow.in_workflow():
            return owner
        # The input of a Nexus operation stays in the history of its caller. What a workflow sends
        # to other ones is its own as well, so that a value for many of them is one blob.
        if owner.is_unowned or isinstance(context, WorkflowSerializationContext):
            return PayloadOwner.of(own)
        return owner

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        """Convert payloads to values.

        A lost payload becomes a `LostPayload`, whatever its type.

        Raises:
            ApplicationError: a lost payload is the result of an activity or a child that a workflow
                waits for, or a memo that it reads as a type.
            WorkflowTaskRetryError: a payload of a workflow cannot be read now, but a retry may fix
                it.
        """
        failures = [read_failure(payload) for payload in payloads]
        if not any(failures):
            return self._inner.from_payloads(payloads, type_hints)
        values: list[Any] = []
        hints = list(type_hints or [])[: len(payloads)]
        for payload, failure, hint in zip_longest(payloads, failures, hints):
            if failure is None:
                values += self._inner.from_payloads([payload], None if hint is None else [hint])
            elif self._is_raised(failure) or _is_typed_memo(payload, hint):
                with workflow_entered(self._run.loop):
                    raise_failure(failure)
            else:
                values.append(LostPayload(failure))
        return values

    def _unstorable_error(
        self, payloads: Sequence[Payload], owner: PayloadOwner
    ) -> KeyTooLongError | None:
        return unstorable_error(payloads, owner, self._encoder, may_grow=self._has_own_codec)

    def _is_raised(self, failure: ApplicationError) -> bool:
        """Return True if the failure of a value is raised at once.

        That is so if a workflow waits for the value, the result of an activity or a child; and in
        workflows if a retry may fix the failure, so that no code of the user runs before.

        Arguments of workflows and handlers are passed to the interceptors instead. Raised here, the
        failure of a signal's argument would be logged, and the signal dropped.
        """
        if not converts_for_workflow():
            return False
        if isinstance(failure, AwaitedPayloadError):
            return True
        if LENIENT.get():
            return False
        context = self._context
        return not isinstance(context, WorkflowSerializationContext) or context != self._run.own


def _is_small(payload: PayloadParts) -> bool:
    """Return True if a payload is too small to be offloaded."""
    return (
        data_size(payload) < SMALLEST_OFFLOADED_BYTES
        and payload.ByteSize() < SMALLEST_OFFLOADED_BYTES
    )


def _is_typed_memo(payload: Payload, hint: type | None) -> bool:
    """Return True for a memo that a workflow reads as a type.

    Without a type it may be one of all memos, which are read together.
    """
    if hint is None or not temporalio.workflow.in_workflow():
        return False
    return any(payload is each for each in temporalio.workflow.info().raw_memo.values())


class _WorkflowSerializationError(PayloadSerializationError, ApplicationError):
    """A failure of Temporal's as well; otherwise the workflow task would be retried for ever."""

    def __init__(self, message: str) -> None:
        ApplicationError.__init__(
            self, message, type=PayloadSerializationError.__name__, non_retryable=True
        )


# The name that Temporal's failure, and whatever shows the error, gives it.
_WorkflowSerializationError.__name__ = PayloadSerializationError.__name__
_WorkflowSerializationError.__qualname__ = PayloadSerializationError.__name__


class _Run:
    """State shared by the copies of one instance.

    Attributes:
        outbox: payloads that the workflow is about to send.
        history: size and expected growth of the run's history.
        own: the context of the workflow run itself.
        loop: the event loop of the workflow.
    """

    def __init__(self, history: HistoryGrowth) -> None:
        self.outbox = Outbox()
        self.history = history
        self.own: SerializationContext | None = None
        self.loop: asyncio.AbstractEventLoop | None = None


def tracking(
    inner: Callable[[], PayloadConverter],
    encoder: PayloadEncoder,
    *,
    has_own_codec: bool = False,
    is_adopted: bool = False,
) -> type[PayloadConverter]:
    """Make a `TrackingConverter` class that Temporal can instantiate without arguments.

    Temporal does so several times for each activation.

    Args:
        inner: returns the inner converter of an instance.
        encoder: see `TrackingConverter`.
        has_own_codec: see `TrackingConverter`.
        is_adopted: see `TrackingConverter.is_adopted`.
    """
    adopted = is_adopted

    class Tracking(TrackingConverter):
        is_adopted = adopted

        def __init__(self) -> None:
            super().__init__(inner(), encoder, has_own_codec=has_own_codec)

    return Tracking


def separate_class(converter: type[PayloadConverter]) -> type[PayloadConverter]:
    """Return a subclass of a `TrackingConverter`, so that a worker has a ``holds_data`` of its own.

    Any other class is returned unchanged.
    """
    return type(converter.__name__, (converter,), {}) if _tracks(converter) else converter


def hold_data(converter: type[PayloadConverter]) -> None:
    """Let a class made by `separate_class` return stand-ins; see `TrackingConverter.holds_data`."""
    if _tracks(converter):
        converter.holds_data = True


def takes_contexts(converter: type[PayloadConverter]) -> bool:
    """Return True if a context may change how values are converted, and not only what is sent."""
    return not _tracks(converter) or converter.is_adopted


def _tracks(converter: type[PayloadConverter]) -> TypeGuard[type[TrackingConverter]]:
    return issubclass(converter, TrackingConverter)
