"""Skipping of timers: Temporal's server moves an execution's clock while nothing else is due."""

from __future__ import annotations

from importlib.metadata import version
from typing import Any, Final

from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest

from mistral_offload.devserver.errors import LocalPlatformError

SERVER_SETTING: Final = "frontend.WorkflowTimeSkippingEnabled=true"
"""Dynamic configuration of a server that accepts such executions; others are not affected."""

_MEMBER = "time_skipping_config"
_KIND = "temporal.api.common.v1.TimeSkippingConfig"
"""Older versions of temporalio have another message of this name, which the server ignores."""


def require_time_skipping() -> None:
    """Check that the installed temporalio can start executions that skip time.

    Raises:
        LocalPlatformError: it cannot.
    """
    member = StartWorkflowExecutionRequest.DESCRIPTOR.fields_by_name.get(_MEMBER)
    kind = None if member is None else member.message_type
    if kind is None or kind.full_name != _KIND:
        raise LocalPlatformError(
            f"time skipping needs temporalio 1.31 or later, and {version('temporalio')} is "
            "installed: run pip install --upgrade temporalio"
        )


def skip_time(request: StartWorkflowExecutionRequest) -> None:
    """Let the execution that a request starts skip time."""
    config: Any = getattr(request, _MEMBER)
    config.enabled = True
