"""Base classes of the models, and types that several resources use."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer

from mistral_offload._deferred_models import DEFER_BUILD


class ResponseModel(BaseModel):
    """Base of response bodies; members unknown to this version are kept."""

    model_config = ConfigDict(extra="allow", defer_build=DEFER_BUILD)


class RequestModel(BaseModel):
    """Base of request bodies; members that were not set are omitted, explicit nulls are sent."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True, defer_build=DEFER_BUILD)

    @model_serializer(mode="wrap")
    def _omit_unset(self, serialize: SerializerFunctionWrapHandler) -> dict[str, Any]:
        fields_set = self.model_fields_set
        members: dict[str, Any] = serialize(self)
        return {
            name: value
            for name, value in members.items()
            if value is not None or name in fields_set
        }


class ExecutionStatus(str, Enum):
    """Status of an execution, in the platform's spelling."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    TERMINATED = "TERMINATED"
    CONTINUED_AS_NEW = "CONTINUED_AS_NEW"
    TIMED_OUT = "TIMED_OUT"
    RETRYING_AFTER_ERROR = "RETRYING_AFTER_ERROR"


KnownOrNewStatus = Annotated[ExecutionStatus | str, Field(union_mode="left_to_right")]
"""A status; one that this version does not know stays a string."""
