# Generated from mistral_offload/_async/typed_results.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: c2901a38eb2c19ed

"""Results of a type, with their activity fields loaded, and their files ready to be read."""

from __future__ import annotations

from typing import Any, TypeVar

from mistral_offload._sync.http import SyncHttp
from mistral_offload.api.models.base import ResponseModel
from mistral_offload.api.typed_results import (
    Execution,
    Reply,
    with_typed_reply,
    with_typed_result,
)

Model = TypeVar("Model", bound=ResponseModel)


def read_result(http: SyncHttp, execution: Execution, result_type: Any) -> Execution:
    """Return an execution with its result of a type; see `with_typed_result`.

    Raises:
        WorkflowResultError: the result does not fit.
        ConfigurationError: pydantic does not support the type.
        PayloadError, StorageError: the value of a field could not be loaded.
    """
    typed = with_typed_result(execution, result_type)
    return typed if result_type is None else _load_fields(http, typed)


def read_reply(http: SyncHttp, reply: Reply, result_type: Any, execution_id: str) -> Reply:
    """Return the response to a query or an update with its result of a type.

    Raises:
        MistralOffloadError: the errors of `read_result`.
    """
    typed = with_typed_reply(reply, result_type, execution_id)
    return typed if result_type is None else _load_fields(http, typed)


def _load_fields(http: SyncHttp, model: Model) -> Model:
    given: Any = model.result  # type: ignore[attr-defined]
    loaded = http.load_fields(given)
    return model if loaded is given else model.model_copy(update={"result": loaded})
