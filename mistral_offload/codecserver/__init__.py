"""The remote codec of Temporal's UI and CLI: HTTP endpoints around a worker's own configuration.

The protocol is Temporal's: ``POST /decode`` and ``POST /encode`` take and give ``Payloads`` as
proto3 JSON, with the namespace in ``X-Namespace`` or in front of the path; ``POST /download`` is
what the UI asks for payloads kept outside of Temporal.
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
