"""Results of a type, with their activity fields loaded, and their files ready to be read."""

from __future__ import annotations

from typing import Any, TypeVar

from mistral_offload._async.http import AsyncHttp
from mistral_offload.api.models.base import ResponseModel
from mistral_offload.api.typed_results import (
    Execution,
    Reply,
    with_typed_reply_async,
    with_typed_result_async,
)

Model = TypeVar("Model", bound=ResponseModel)


async def read_result_async(http: AsyncHttp, execution: Execution, result_type: Any) -> Execution:
    """Return an execution with its result of a type; see `with_typed_result`.

    Raises:
        WorkflowResultError: the result does not fit.
        ConfigurationError: pydantic does not support the type.
        PayloadError, StorageError: the value of a field could not be loaded.
    """
    typed = await with_typed_result_async(execution, result_type)
    return typed if result_type is None else await _load_fields_async(http, typed)


async def read_reply_async(
    http: AsyncHttp, reply: Reply, result_type: Any, execution_id: str
) -> Reply:
    """Return the response to a query or an update with its result of a type.

    Raises:
        MistralOffloadError: the errors of `read_result`.
    """
    typed = await with_typed_reply_async(reply, result_type, execution_id)
    return typed if result_type is None else await _load_fields_async(http, typed)


async def _load_fields_async(http: AsyncHttp, model: Model) -> Model:
    given: Any = model.result  # type: ignore[attr-defined]
    loaded = await http.load_fields_async(given)
    return model if loaded is given else model.model_copy(update={"result": loaded})
