"""Responses to workers."""

from __future__ import annotations

from mistral_offload.api.models.base import ResponseModel


class WhoAmI(ResponseModel):
    """Address of Temporal and namespace of the caller's workflows."""

    scheduler_url: str
    namespace: str
