"""Tokens of executions, on which all workers of a deployment agree without sharing anything.

A run whose input brings a token keeps it. For every other run the token is derived from the
worker's key for the platform and the run id. It is never sent to Temporal.
"""

from __future__ import annotations

import hashlib
import hmac
import uuid
from typing import Final

_PURPOSE: Final = b"mistral-offload execution token"


class ExecutionTokens:
    """Derives the tokens of runs.

    Args:
        key: the worker's key for the platform; None without one, and the tokens are no secret then,
            as the platform itself has none.
    """

    def __init__(self, key: str | None) -> None:
        self._secret = hmac.digest(_PURPOSE, (key or "").encode(), "sha256")

    def derive(self, run_id: str) -> str:
        """Return the token of a run, in the form of a UUID."""
        digest = hmac.digest(self._secret, run_id.encode(), "sha256")
        return str(uuid.UUID(bytes=digest[:16], version=4))


def token_hash(token: str) -> str:
    """Return the digest of a token by which a run is registered."""
    return hashlib.sha256(token.encode()).hexdigest()
