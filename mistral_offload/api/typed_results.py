"""Results as values of the ``result_type`` of a call.

The rules for the result of an execution are the platform's: a pydantic model is its own JSON
object, and a value of any other type is ``{"result": value}``. Results of queries and updates are
the values themselves.
"""

from __future__ import annotations

from functools import partial
from typing import Any, TypeVar, cast

from pydantic import ValidationError

from mistral_offload._cpu_threads import run_in_cpu_thread_async
from mistral_offload.api.models import (
    ExecutionStatus,
    QueryWorkflowResponse,
    UpdateWorkflowResponse,
    WorkflowExecutionResponse,
    WorkflowExecutionSyncResponse,
)
from mistral_offload.api.models.base import ResponseModel
from mistral_offload.errors import PayloadSerializationError, WorkflowResultError
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.payload.model_types import is_model
from mistral_offload.payload.own_output import validate_json
from mistral_offload.payload.parsed_reader import Mismatch
from mistral_offload.payload.typed_reader import ValueReader, describe_type, list_problems

# As text: a subscript at run time would make pydantic build the model.
Execution = TypeVar(
    "Execution",
    bound="WorkflowExecutionResponse[Any] | WorkflowExecutionSyncResponse[Any]",
)
Reply = TypeVar("Reply", bound="QueryWorkflowResponse[Any] | UpdateWorkflowResponse[Any]")
Model = TypeVar("Model", bound=ResponseModel)

_MEMBER = "result"
_SHOWN_PROBLEMS = 5


def with_typed_result(execution: Execution, result_type: Any) -> Execution:
    """Return an execution whose result is of a type; one without a result stays as it is.

    Args:
        execution: the execution; it is not changed.
        result_type: any type that pydantic can validate; None to leave the result as it is.

    Raises:
        WorkflowResultError: the result does not fit.
        ConfigurationError: pydantic does not support the type.
    """
    if result_type is None:
        return execution
    status = ExecutionStatus.COMPLETED
    if isinstance(execution, WorkflowExecutionResponse) and execution.status != status:
        return execution
    read = partial(_read, result_type, execution_id=execution.execution_id, status=status.value)
    given: Any = execution.result
    if is_model(result_type) or not _is_wrapped(given):
        result = read(given, given)
    else:
        result = read(given[_MEMBER], given)
    return _replace_result(execution, result)


async def with_typed_result_async(execution: Execution, result_type: Any) -> Execution:
    """Async form of `with_typed_result`, which validates in a thread."""
    if result_type is None:
        return execution
    return await run_in_cpu_thread_async(partial(with_typed_result, execution, result_type))


def with_typed_reply(reply: Reply, result_type: Any, execution_id: str) -> Reply:
    """Return the response to a query or an update with its result of a type.

    Args:
        reply: the response; it is not changed.
        result_type: any type that pydantic can validate; None to leave the result as it is.
        execution_id: id of the execution that responded, for errors.

    Raises:
        WorkflowResultError: the result does not fit.
        ConfigurationError: pydantic does not support the type.
    """
    if result_type is None:
        return reply
    given: Any = reply.result
    result = _read(result_type, given, given, execution_id=execution_id, status=None)
    return _replace_result(reply, result)


async def with_typed_reply_async(reply: Reply, result_type: Any, execution_id: str) -> Reply:
    """Async form of `with_typed_reply`, which validates in a thread."""
    if result_type is None:
        return reply
    return await run_in_cpu_thread_async(
        partial(with_typed_reply, reply, result_type, execution_id)
    )


def _replace_result(model: Model, result: Any) -> Model:
    return model.model_copy(update={_MEMBER: result})


def _read(
    result_type: Any, value: Any, given: Any, *, execution_id: str, status: str | None
) -> Any:
    """Return a JSON value as one of the type; ``given`` is the whole result, for the error."""
    try:
        return _validate(ValueReader(result_type), value)
    except ValidationError as error:
        problems = list_problems(error)
        location = error.errors(include_input=False, include_url=False)[0]["loc"]
    more = len(problems) - _SHOWN_PROBLEMS
    shown = "; ".join(problems[:_SHOWN_PROBLEMS]) + (f"; and {more} more" if more > 0 else "")
    raise WorkflowResultError(
        f"the result of execution {execution_id!r} does not fit {describe_type(result_type)}: "
        f"{shown}. The value as it arrived is the error's attribute result",
        execution_id=execution_id,
        status=status,
        field=".".join(map(str, location)),
        problems=tuple(problems),
        result=given,
    )


def _validate(reader: ValueReader, value: Any) -> Any:
    try:
        return reader.parsed.read(value)
    except Mismatch:
        pass
    try:
        # Pydantic reads some types from JSON text in another way than from objects.
        data = None if isinstance(value, bytes) else dump_json(value)
    except PayloadSerializationError:  # other writers' values, such as lone surrogates
        data = None
    if data is None:
        return reader.adapter.validate_python(value)
    return validate_json(reader.adapter, data)


def _is_wrapped(value: Any) -> bool:
    return isinstance(value, dict) and set(cast("dict[str, Any]", value)) == {_MEMBER}
