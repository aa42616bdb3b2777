"""The local platform behind ``mistral-offload dev``: for development, never for production.

>>> with LocalPlatform() as platform:                                        # doctest: +SKIP
...     client = Mistral(platform.api_key, server_url=platform.server_url)
"""

from __future__ import annotations

from mistral_offload.errors import MissingExtraError

try:
    from mistral_offload.devserver.errors import LocalPlatformError
    from mistral_offload.devserver.platform import LocalPlatform
    from mistral_offload.devserver.temporal_server import DEFAULT_NAMESPACE, TemporalServer
except MissingExtraError as error:  # of the codec server, whose HTTP parts are used here
    raise MissingExtraError("the local platform", "dev") from error
except ModuleNotFoundError as error:
    if (error.name or "").startswith("mistral_offload"):
        raise
    raise MissingExtraError("the local platform", "dev") from error

__all__ = ["DEFAULT_NAMESPACE", "LocalPlatform", "LocalPlatformError", "TemporalServer"]
