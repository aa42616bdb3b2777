"""What the models have in common."""

from __future__ import annotations

from enum import Enum
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, SerializerFunctionWrapHandler, model_serializer


class ResponseModel(BaseModel):
    """Base of all answers: members that this version does not know are kept."""

    model_config = ConfigDict(extra="allow")


class RequestModel(BaseModel):
    """Base of what is sent: members that were not given are left out, explicit nulls are kept."""

    model_config = ConfigDict(extra="allow", hide_input_in_errors=True)

    @model_serializer(mode="wrap")
    def _without_unset(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        given = self.model_fields_set
        members: dict[str, Any] = write(self)
        return {
            name: value for name, value in members.items() if value is not None or name in given
        }


class ExecutionStatus(str, Enum):
    """States of an execution, in the platform's spelling."""

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    TERMINATED = "TERMINATED"
    CONTINUED_AS_NEW = "CONTINUED_AS_NEW"
    TIMED_OUT = "TIMED_OUT"
    RETRYING_AFTER_ERROR = "RETRYING_AFTER_ERROR"


KnownOrNewStatus = Annotated[ExecutionStatus | str, Field(union_mode="left_to_right")]
"""A status; one that this version does not know is kept as text."""
