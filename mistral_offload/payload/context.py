"""What a payload knows of the execution it belongs to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class PayloadContext:
    """The execution a payload belongs to.

    ``namespace`` and ``execution_id`` decide where a blob is kept; the other members only travel
    with the payload.
    """

    namespace: str
    execution_id: str
    parent_workflow_exec_id: str | None = None
    root_workflow_exec_id: str | None = None
    execution_token: str | None = field(default=None, repr=False)
    on_behalf_of: bool | None = None
    extensions: Mapping[str, Any] = field(default_factory=dict[str, Any])
    trusted_extensions: Mapping[str, Any] = field(default_factory=dict[str, Any])
    continued_run_id: str | None = None
    first_execution_run_id: str | None = None
    schedule_id: str | None = None

    def without_token(self) -> PayloadContext:
        """The same context as workflows, children and callers may see it."""
        return self if self.execution_token is None else replace(self, execution_token=None)
