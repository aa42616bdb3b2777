"""The execution that a payload belongs to, or the namespace if no execution is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeAlias


@dataclass(frozen=True, slots=True)
class PayloadContext:
    """The execution a payload belongs to, with the members that the platform sends along.

    ``namespace`` and ``execution_id`` are part of the key of a blob; the other members are only
    sent with the payload.
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
        """Return a copy without the token, for workflows, child workflows and callers."""
        return self if self.execution_token is None else replace(self, execution_token=None)


@dataclass(frozen=True, slots=True)
class UnownedContext:
    """The namespace of a payload for which Temporal names no execution."""

    namespace: str

    @property
    def execution_id(self) -> None:
        """None: no execution is known."""
        return None


BlobContext: TypeAlias = PayloadContext | UnownedContext
"""The part of a context that determines the key of a blob."""
