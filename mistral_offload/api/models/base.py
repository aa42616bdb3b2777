"""Base classes of the models, and types that several resources use."""

from __future__ import annotations

from enum import Enum
from typing import Any

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer
from typing_extensions import Self

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
    """Status of an execution, in the platform's spelling; ``str`` returns that.

    The enumeration is open: a status of a newer platform becomes a value of this type, too, equal
    to its text, but is not one of the members that iteration yields.
    """

    RUNNING = "RUNNING"
    COMPLETED = "COMPLETED"
    FAILED = "FAILED"
    CANCELED = "CANCELED"
    TERMINATED = "TERMINATED"
    CONTINUED_AS_NEW = "CONTINUED_AS_NEW"
    TIMED_OUT = "TIMED_OUT"
    RETRYING_AFTER_ERROR = "RETRYING_AFTER_ERROR"

    def __str__(self) -> str:
        return self.value

    @classmethod
    def _missing_(cls, value: object) -> Self | None:
        if not isinstance(value, str):
            return None
        status = str.__new__(cls, value)
        status._name_ = status._value_ = value
        return status


KnownOrNewStatus = ExecutionStatus
"""Another name of `ExecutionStatus`, which holds statuses unknown to this version as well."""
