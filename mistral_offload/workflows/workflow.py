"""The functions used in workflow code, as ``workflows.workflow.…``.

The decorators and the functions for child workflows belong to this package. The others are
Temporal's own, under Temporal's names.
"""

from temporalio.workflow import (
    ChildWorkflowCancellationType,
    ParentClosePolicy,
    all_handlers_finished,
    deprecate_patch,
    get_external_workflow_handle,
    in_workflow,
    info,
    logger,
    now,
    patched,
    random,
    sleep,
    time,
    unsafe,
    uuid4,
    wait_condition,
)

from mistral_offload.workflows.child_calls import execute_workflow
from mistral_offload.workflows.children import (
    ChildExecution,
    Workflow,
    continue_as_new,
    start_workflow,
)
from mistral_offload.workflows.context import should_continue_as_new
from mistral_offload.workflows.decorators import (
    define,
    entrypoint,
    query,
    signal,
    update,
    validator,
)

__all__ = [
    "ChildExecution",
    "ChildWorkflowCancellationType",
    "ParentClosePolicy",
    "Workflow",
    "all_handlers_finished",
    "continue_as_new",
    "define",
    "deprecate_patch",
    "entrypoint",
    "execute_workflow",
    "get_external_workflow_handle",
    "in_workflow",
    "info",
    "logger",
    "now",
    "patched",
    "query",
    "random",
    "should_continue_as_new",
    "signal",
    "sleep",
    "start_workflow",
    "time",
    "unsafe",
    "update",
    "uuid4",
    "validator",
    "wait_condition",
]
