"""Which context a value leaves with.

A workflow's own context is made of what it received with its input and of what Temporal knows of
it. An activity's result goes back with the context its arguments came with.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import temporalio.activity
import temporalio.workflow
from google.protobuf.message import Message
from temporalio.common import RawValue

from mistral_offload.payload.context import PayloadContext
from mistral_offload.temporal.converter import ContextValue
from mistral_offload.temporal.wire.context_payloads import read_context

# Only these children, which the platform's own fan-out starts, may receive trusted extensions.
_FAN_OUT_WORKFLOWS = frozenset({"__parallel_execution__", "__parallel_execution_obo__"})


def workflow_context(
    info: temporalio.workflow.Info, received: PayloadContext | None = None
) -> PayloadContext:
    """A workflow's own context.

    Ids come from Temporal, because a child receives its parent's context and a continued run that
    of the run before; token, extensions and the like come from what was received.
    """
    given = received or PayloadContext(info.namespace, info.workflow_id)
    root = info.root.workflow_id if info.root else None
    return replace(
        given,
        namespace=given.namespace or info.namespace,
        execution_id=info.workflow_id,
        parent_workflow_exec_id=(
            info.parent.workflow_id if info.parent else given.parent_workflow_exec_id
        ),
        root_workflow_exec_id=(
            root if root and root != info.workflow_id else given.root_workflow_exec_id
        ),
        continued_run_id=info.continued_run_id,
        first_execution_run_id=info.first_execution_run_id,
        trusted_extensions=(
            given.trusted_extensions if info.workflow_type in _FAN_OUT_WORKFLOWS else {}
        ),
    )


def activity_context(
    info: temporalio.activity.Info, received: PayloadContext | None = None
) -> PayloadContext | None:
    """The context of an activity's result: the one received, else what Temporal knows.

    None for an activity that no workflow started.
    """
    if received is not None or not info.workflow_id:
        return received
    return PayloadContext(info.workflow_namespace or info.namespace or "", info.workflow_id)


def received_context(arguments: Sequence[Any]) -> PayloadContext | None:
    """The context that came with a call, known only for arguments that arrive as ``RawValue``.

    Raises:
        PayloadDecodeError: an argument claims to carry a context, but does not.
    """
    for argument in arguments:
        if isinstance(argument, RawValue):
            return read_context(argument.payload)
    return None


def wrap(value: Any, context: PayloadContext) -> Any:
    """Give a value its context; what has a wire form of its own is left as it is."""
    if isinstance(value, ContextValue | RawValue | bytes | Message):
        return value
    return ContextValue(value, context)


def wrap_arguments(arguments: Sequence[Any], context: PayloadContext) -> list[Any]:
    """One context payload an argument; no arguments are one payload that says so."""
    if not arguments:
        return [ContextValue(None, context, empty=True)]
    return [wrap(argument, context) for argument in arguments]


def without_empty(arguments: Sequence[Any], function: Callable[..., Any]) -> Sequence[Any]:
    """Take the payload that says "no arguments" away again from a function that takes none."""
    if list(arguments) != [None]:
        return arguments
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return arguments
    return arguments if [name for name in parameters if name != "self"] else []
