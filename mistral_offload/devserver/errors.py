"""The error of the local platform."""

from __future__ import annotations

from mistral_offload.errors import MistralOffloadError


class LocalPlatformError(MistralOffloadError):
    """The local platform could not start, or one of its parts ended unexpectedly."""
