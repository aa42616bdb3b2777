"""What goes wrong while the local platform starts or runs."""

from __future__ import annotations

from mistral_offload.errors import MistralOffloadError


class LocalPlatformError(MistralOffloadError):
    """The local platform could not start, or one of its parts ended by itself."""
