"""Discovery of Temporal: from the worker's settings, completed by the platform's ``whoami``."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from urllib.parse import urlsplit

from mistral_offload._credentials import shown_url
from mistral_offload.api.connection import CallOptions
from mistral_offload.environment.platform_api import Platform, WhoAmIResponse
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.errors import ConfigurationError

_logger = logging.getLogger("mistral_offload.worker")

_DEFAULT_TARGET = "localhost:7233"
_DEFAULT_NAMESPACE = "mistral-workflows"


@dataclass(frozen=True, slots=True)
class TemporalAddress:
    """Address of a Temporal server and the namespace to use there.

    Attributes:
        target: ``host:port``.
        namespace: Temporal namespace, which is also the first part of blob keys.
        tls: True to connect with TLS.
    """

    target: str
    namespace: str
    tls: bool


async def find_temporal(
    settings: WorkerSettings, platform: Platform | None, options: CallOptions | None = None
) -> TemporalAddress:
    """Return the address of Temporal, requesting from the platform what the settings leave open.

    A platform without the ``whoami`` route (404) leaves the settings and their defaults.

    Args:
        settings: the worker's settings.
        platform: requests to the platform; None to use the settings alone.
        options: `CallOptions` of the request.

    Raises:
        APIConnectionError: the platform sent no response.
        APIError: the platform returned an error.
        ConfigurationError: an address is invalid.
    """
    whoami = None
    if platform is not None and not (settings.temporal_server_url and settings.temporal_namespace):
        whoami = await platform.whoami(options)
        if whoami is None:
            _logger.warning(
                "%s does not provide the address of Temporal (whoami: 404); using the worker's "
                "own settings",
                settings.server_url,
            )
    return choose_address(settings, whoami)


def choose_address(settings: WorkerSettings, whoami: WhoAmIResponse | None) -> TemporalAddress:
    """Return the settings' address, completed by the platform's response and by defaults.

    Raises:
        ConfigurationError: an address is invalid.
    """
    if settings.temporal_server_url:
        target, tls = parse_target(settings.temporal_server_url)
    elif whoami is not None:
        target, tls = parse_target(whoami.scheduler_url)
        tls = tls if whoami.tls is None else whoami.tls
    else:
        target, tls = _DEFAULT_TARGET, False
    return TemporalAddress(
        target=target,
        namespace=choose_namespace(settings, whoami),
        tls=settings.temporal_tls if settings.temporal_tls is not None else tls,
    )


def choose_namespace(settings: WorkerSettings, whoami: WhoAmIResponse | None) -> str:
    """Return the settings' namespace, else the platform's, else the default."""
    return settings.temporal_namespace or (whoami.namespace if whoami else _DEFAULT_NAMESPACE)


def parse_target(text: str) -> tuple[str, bool]:
    """Return ``host:port`` and whether TLS is used, from ``host:port`` or a URL.

    The default port is 443 for ``https`` and ``grpcs`` URLs, 80 for other URLs, and 7233, which is
    Temporal's own, for a bare host. ``https`` and ``grpcs`` mean TLS.

    Raises:
        ConfigurationError: the text has no host, or its port is not a number.
    """
    is_url = "://" in text
    parts = urlsplit(text if is_url else f"//{text}")
    secure = parts.scheme in ("https", "grpcs")
    try:
        port = parts.port or (7233 if not is_url else 443 if secure else 80)
    except ValueError:
        port = 0
    if not parts.hostname or not port:
        raise ConfigurationError(
            f"{shown_url(text)} is not a valid address of Temporal: use host:port or a URL"
        )
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}", secure
