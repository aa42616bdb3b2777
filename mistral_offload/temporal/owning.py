"""Whom a payload without a context of its own belongs to: Temporal's serialization context says."""

from __future__ import annotations

from dataclasses import dataclass

from temporalio.converter import (
    ActivitySerializationContext,
    SerializationContext,
    WorkflowSerializationContext,
)

from mistral_offload.payload.context import PayloadContext


@dataclass(frozen=True, slots=True)
class Sender:
    """On whose behalf payloads are sent or received.

    Attributes:
        owner: the execution that payloads without a context belong to; None when Temporal does not
            say.
        is_local: it is a local activity, whose result ends up in a workflow task's answer.
    """

    owner: PayloadContext | None = None
    is_local: bool = False

    @classmethod
    def of(cls, context: SerializationContext) -> Sender:
        """The sender that a serialization context describes."""
        if isinstance(context, WorkflowSerializationContext):
            return cls(PayloadContext(context.namespace, context.workflow_id))
        if isinstance(context, ActivitySerializationContext):
            execution_id = context.workflow_id or context.activity_id
            owner = PayloadContext(context.namespace, execution_id) if execution_id else None
            return cls(owner, context.is_local)
        return cls()

    @property
    def namespace(self) -> str | None:
        """The namespace, where it is known."""
        return self.owner.namespace if self.owner else None

    def owner_for(self, context: PayloadContext) -> PayloadContext:
        """Where a payload that does carry a context is kept."""
        if context.namespace or self.owner is None:
            return context
        return PayloadContext(self.owner.namespace, context.execution_id)
