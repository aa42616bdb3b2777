"""Contexts of outgoing values.

A workflow's context combines the one received with its input with Temporal's facts about the
execution. An activity's result has the context of its arguments.
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

# Only these children, started by the platform's own fan-out, may receive trusted extensions.
_FAN_OUT_WORKFLOWS = frozenset({"__parallel_execution__", "__parallel_execution_obo__"})


def workflow_context(
    info: temporalio.workflow.Info, received: PayloadContext | None = None
) -> PayloadContext:
    """Return the context of a workflow.

    Ids come from Temporal, because a child receives its parent's context, and a continued run that
    of the previous run. Token, extensions and other members come from the received context.

    Args:
        info: Temporal's facts about the execution.
        received: the context that came with the workflow's input, if any.
    """
    base = received or PayloadContext(info.namespace, info.workflow_id)
    root = info.root.workflow_id if info.root else None
    return replace(
        base,
        namespace=base.namespace or info.namespace,
        execution_id=info.workflow_id,
        parent_workflow_exec_id=(
            info.parent.workflow_id if info.parent else base.parent_workflow_exec_id
        ),
        root_workflow_exec_id=(
            root if root and root != info.workflow_id else base.root_workflow_exec_id
        ),
        continued_run_id=info.continued_run_id,
        first_execution_run_id=info.first_execution_run_id,
        trusted_extensions=(
            base.trusted_extensions if info.workflow_type in _FAN_OUT_WORKFLOWS else {}
        ),
    )


def activity_context(
    info: temporalio.activity.Info, received: PayloadContext | None = None
) -> PayloadContext | None:
    """Return the context of an activity's result: the received one, else one made by `info`.

    None for an activity without a context that was not started by a workflow.
    """
    if received is not None or not info.workflow_id:
        return received
    return PayloadContext(info.workflow_namespace or info.namespace or "", info.workflow_id)


def received_context(arguments: Sequence[Any]) -> PayloadContext | None:
    """Return the context of the first argument that is a ``RawValue``; None if there is none.

    Raises:
        PayloadDecodeError: the argument's payload claims to carry a context, but does not.
    """
    for argument in arguments:
        if isinstance(argument, RawValue):
            return read_context(argument.payload)
    return None


def wrap(value: Any, context: PayloadContext) -> Any:
    """Return a value with a context; values with their own wire form are returned unchanged."""
    if isinstance(value, ContextValue | RawValue | bytes | Message):
        return value
    return ContextValue(value, context)


def wrap_arguments(arguments: Sequence[Any], context: PayloadContext) -> list[Any]:
    """Return arguments with a context; an empty list becomes one value that marks it as empty."""
    if not arguments:
        return [ContextValue(None, context, empty=True)]
    return [wrap(argument, context) for argument in arguments]


def without_empty(arguments: Sequence[Any], function: Callable[..., Any]) -> Sequence[Any]:
    """Return arguments without the mark of an empty list, for a function without parameters."""
    if list(arguments) != [None]:
        return arguments
    try:
        parameters = list(inspect.signature(function).parameters)
    except (TypeError, ValueError):
        return arguments
    return arguments if [name for name in parameters if name != "self"] else []
