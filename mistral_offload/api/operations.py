"""The operations of the REST API: one entry each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Generic, TypeVar, cast
from urllib.parse import quote

from mistral_offload.api import models

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Operation(Generic[T]):
    """How one operation looks on the wire.

    Attributes:
        name: dotted name of the method, for error messages.
        method: HTTP method.
        path: path with ``{placeholders}``.
        returns: model of the body of a successful answer; None when it has none.
        repeatable: whether it does no harm when it arrives twice.
    """

    name: str
    method: str
    path: str
    returns: type[T]
    repeatable: bool = False

    def url_path(self, parameters: Mapping[str, str]) -> str:
        """The path with its placeholders filled, each value escaped as one path segment."""
        return self.path.format_map({name: segment(text) for name, text in parameters.items()})


def segment(text: str) -> str:
    """One path segment; ``.`` and ``..`` are escaped too, since URLs give them a meaning."""
    escaped = quote(text, safe=":")
    return escaped.replace(".", "%2E") if escaped in {".", ".."} else escaped


_EXECUTIONS = "/v1/workflows/executions/{execution_id}"

WHOAMI: Final = Operation(
    "workers.whoami", "GET", "/v1/workflows/workers/whoami", models.WhoAmI, repeatable=True
)
# Repeatable because the execution id is fixed before the first attempt.
EXECUTE_WORKFLOW: Final = Operation(
    "workflows.execute_workflow",
    "POST",
    "/v1/workflows/{workflow_identifier}/execute",
    # A union is no type[...] to a checker, although pydantic reads it as one.
    cast(
        "type[models.WorkflowExecutionResponse | models.WorkflowExecutionSyncResponse]",
        models.ExecuteAnswer,
    ),
    repeatable=True,
)
GET_EXECUTION: Final = Operation(
    "executions.get_workflow_execution",
    "GET",
    _EXECUTIONS,
    models.WorkflowExecutionResponse,
    repeatable=True,
)
SIGNAL_EXECUTION: Final = Operation(
    "executions.signal_workflow_execution",
    "POST",
    f"{_EXECUTIONS}/signals",
    models.SignalWorkflowResponse,
)
QUERY_EXECUTION: Final = Operation(
    "executions.query_workflow_execution",
    "POST",
    f"{_EXECUTIONS}/queries",
    models.QueryWorkflowResponse,
    repeatable=True,
)
UPDATE_EXECUTION: Final = Operation(
    "executions.update_workflow_execution",
    "POST",
    f"{_EXECUTIONS}/updates",
    models.UpdateWorkflowResponse,
)
CANCEL_EXECUTION: Final = Operation(
    "executions.cancel_workflow_execution",
    "POST",
    f"{_EXECUTIONS}/cancel",
    type(None),
    repeatable=True,
)
TERMINATE_EXECUTION: Final = Operation(
    "executions.terminate_workflow_execution",
    "POST",
    f"{_EXECUTIONS}/terminate",
    type(None),
    repeatable=True,
)
