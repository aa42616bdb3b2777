"""What a worker asks the platform."""

from __future__ import annotations

from mistral_offload.api.models.base import ResponseModel


class WhoAmI(ResponseModel):
    """Where the caller's workflows run."""

    scheduler_url: str
    namespace: str
