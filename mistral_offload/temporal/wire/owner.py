"""Derives the owning execution of a context-less payload from Temporal's serialization context."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

from temporalio.converter import (
    ActivitySerializationContext,
    SerializationContext,
    WorkflowSerializationContext,
)

from mistral_offload.payload.context import BlobContext, PayloadContext, UnownedContext


@dataclass(frozen=True, slots=True)
class PayloadOwner:
    """The execution on whose behalf payloads are encoded or decoded.

    Attributes:
        context: the execution that owns payloads without a context of their own; if Temporal does
            not name one, the namespace, or None when that is unknown, too.
        is_local: True for a local activity, whose result becomes part of a workflow task's
            response.
        is_activity: True for the payloads of an activity, local or not.
        stays_in_history: True for an activity of a workflow, whose result stays in the history, and
            for unowned payloads, which may stay in one.
    """

    context: BlobContext | None = None
    is_local: bool = False
    is_activity: bool = False
    stays_in_history: bool = False

    @classmethod
    def of(cls, context: SerializationContext) -> PayloadOwner:
        """Derive the owner from a serialization context."""
        if isinstance(context, WorkflowSerializationContext):
            return _workflow_owner(context.namespace, context.workflow_id)
        if isinstance(context, ActivitySerializationContext):
            return _activity_owner(
                context.namespace, context.workflow_id, context.activity_id, context.is_local
            )
        return cls()

    @classmethod
    def unowned(cls, namespace: str | None) -> PayloadOwner:
        """Return the owner of payloads for which Temporal names no execution."""
        context = UnownedContext(namespace) if namespace else None
        return cls(context, stays_in_history=True)

    @property
    def is_unowned(self) -> bool:
        """True if no execution is known."""
        return not isinstance(self.context, PayloadContext)

    @property
    def namespace(self) -> str | None:
        """The owner's namespace, or None when it is unknown."""
        return self.context.namespace if self.context else None

    def context_for(self, context: PayloadContext) -> PayloadContext:
        """Complete a payload's own context with the owner's namespace where it has none."""
        if context.namespace or self.context is None:
            return context
        return PayloadContext(self.context.namespace, context.execution_id)


# One workflow has many payloads.
@lru_cache(256)
def _workflow_owner(namespace: str, workflow_id: str) -> PayloadOwner:
    return PayloadOwner(PayloadContext(namespace, workflow_id))


def _activity_owner(
    namespace: str, workflow_id: str | None, activity_id: str | None, is_local: bool
) -> PayloadOwner:
    execution_id = workflow_id or activity_id
    # The activity does not matter where its workflow is known.
    return _execution_owner(namespace, execution_id, is_local, bool(workflow_id))


@lru_cache(256)
def _execution_owner(
    namespace: str, execution_id: str | None, is_local: bool, has_workflow: bool
) -> PayloadOwner:
    return PayloadOwner(
        PayloadContext(namespace, execution_id) if execution_id else None,
        is_local,
        is_activity=True,
        stays_in_history=has_workflow,
    )
