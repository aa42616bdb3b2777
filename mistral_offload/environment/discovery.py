"""Where Temporal is: what the worker's settings say, else what the platform says."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from urllib.parse import urlsplit

from mistral_offload.environment.platform_api import Platform, TemporalWhereabouts
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.errors import ConfigurationError

_logger = logging.getLogger(__name__)

_DEFAULT_TARGET = "localhost:7233"
_DEFAULT_NAMESPACE = "mistral-workflows"


@dataclass(frozen=True, slots=True)
class TemporalAddress:
    """How to reach Temporal.

    Attributes:
        target: ``host:port``.
        namespace: Temporal's namespace, which is also the first part of blob keys.
        tls: whether the connection is encrypted.
    """

    target: str
    namespace: str
    tls: bool


async def find_temporal(settings: WorkerSettings, platform: Platform | None) -> TemporalAddress:
    """Ask the platform where Temporal is, unless the settings say it all.

    A platform without this question (404) leaves the settings and their defaults.

    Raises:
        APIConnectionError: there was no answer.
        APIError: the platform refused.
        ConfigurationError: an address cannot be understood.
    """
    told = None
    if platform is not None and not (settings.temporal_server_url and settings.temporal_namespace):
        told = await platform.whoami()
        if told is None:
            _logger.warning(
                "%s does not tell where Temporal is: going on with the worker's own settings",
                settings.server_url,
            )
    return choose_address(settings, told)


def choose_address(settings: WorkerSettings, told: TemporalWhereabouts | None) -> TemporalAddress:
    """The settings' address, completed by what the platform has told, and by the defaults.

    Raises:
        ConfigurationError: an address cannot be understood.
    """
    if settings.temporal_server_url:
        target, tls = parse_target(settings.temporal_server_url)
    elif told is not None:
        target, tls = parse_target(told.scheduler_url)
        tls = tls if told.tls is None else told.tls
    else:
        target, tls = _DEFAULT_TARGET, False
    return TemporalAddress(
        target=target,
        namespace=choose_namespace(settings, told),
        tls=settings.temporal_tls if settings.temporal_tls is not None else tls,
    )


def choose_namespace(settings: WorkerSettings, told: TemporalWhereabouts | None) -> str:
    """The settings' namespace, else the one the platform has told, else the default."""
    return settings.temporal_namespace or (told.namespace if told else _DEFAULT_NAMESPACE)


def parse_target(text: str) -> tuple[str, bool]:
    """``host:port`` and whether the spelling asks for TLS.

    A URL without a port means 443 for ``https`` and 80 for ``http``; a bare host Temporal's 7233.

    Raises:
        ConfigurationError: there is no host in it, or the port is not a number.
    """
    is_url = "://" in text
    parts = urlsplit(text if is_url else f"//{text}")
    secure = parts.scheme in ("https", "grpcs")
    try:
        port = parts.port or (7233 if not is_url else 443 if secure else 80)
    except ValueError:
        port = 0
    if not parts.hostname or not port:
        raise ConfigurationError(f"{text!r} is no address of Temporal: give host:port or a URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return f"{host}:{port}", secure
