"""A remote codec for Temporal's UI and CLI: HTTP endpoints that use a worker's configuration.

The protocol is Temporal's: ``POST /decode`` and ``POST /encode`` accept and return ``Payloads`` as
proto3 JSON, with the namespace in ``X-Namespace`` or as the first segment of the path. The UI uses
``POST /download`` for payloads stored outside of Temporal.
"""

from __future__ import annotations

from mistral_offload.errors import MissingExtraError

try:
    from mistral_offload.codecserver.app import create_app
    from mistral_offload.codecserver.options import CodecServerOptions
except ModuleNotFoundError as error:
    if (error.name or "").startswith("mistral_offload"):
        raise
    raise MissingExtraError("the codec server", "codec-server") from error

__all__ = ["CodecServerOptions", "create_app"]
