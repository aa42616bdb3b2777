"""Derives the owning execution of a context-less payload from Temporal's serialization context."""

from __future__ import annotations

from dataclasses import dataclass

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
            return cls(PayloadContext(context.namespace, context.workflow_id))
        if isinstance(context, ActivitySerializationContext):
            execution_id = context.workflow_id or context.activity_id
            owner = PayloadContext(context.namespace, execution_id) if execution_id else None
            return cls(
                owner,
                context.is_local,
                is_activity=True,
                stays_in_history=bool(context.workflow_id),
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
