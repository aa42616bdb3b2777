"""Recognizes workflow code, which must not read stored values, without importing temporalio."""

from __future__ import annotations

import functools
import sys

from mistral_offload.errors import OffloadedValueInWorkflowError


def in_workflow_code() -> bool:
    """Return True in the code of a workflow."""
    workflow = sys.modules.get("temporalio.workflow")
    return workflow is not None and bool(workflow.in_workflow())


def workflow_code_error(message: str, field: str | None = None) -> OffloadedValueInWorkflowError:
    """Return the error for a value that workflow code wants to read; it fails the execution."""
    return _error_class()(message, field=field)


@functools.cache
def _error_class() -> type[OffloadedValueInWorkflowError]:
    from temporalio.exceptions import ApplicationError

    class InWorkflowError(OffloadedValueInWorkflowError, ApplicationError):
        """Also an ApplicationError, or Temporal would retry the workflow task for ever."""

        def __init__(self, message: str, *, field: str | None) -> None:
            OffloadedValueInWorkflowError.__init__(self, message, field=field)
            ApplicationError.__init__(self, message, type=type(self).__name__, non_retryable=True)

    # The name of the public class, wherever the name is shown.
    name = OffloadedValueInWorkflowError.__name__
    InWorkflowError.__name__ = InWorkflowError.__qualname__ = name
    return InWorkflowError
