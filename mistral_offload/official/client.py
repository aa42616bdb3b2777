"""Puts this package's engine behind the workflow encoding of an official client."""

from __future__ import annotations

import os
from importlib import import_module
from typing import Any

from mistral_offload.errors import ConfigurationError
from mistral_offload.official.configuration import (
    compression_of,
    encryption_of,
    offloading_of,
    require_packages,
)
from mistral_offload.official.encoder import with_engine

_WHOAMI = "/v1/workflows/workers/whoami"


def configure(client: Any, config: Any, *, namespace: str | None = None) -> None:
    """Configure the workflow encoding of an official client, with this package's engine.

    Use it instead of the official ``configure_workflow_encoding``. The client's methods, sync and
    async, then encode and decode through the engine. Call it again to change the configuration.

    Example::

        client = mistralai.client.Mistral(api_key=api_key)
        configure(client, WorkflowEncodingConfig(payload_offloading=offloading))

    Args:
        client: the official ``Mistral`` object.
        config: an official ``WorkflowEncodingConfig``.
        namespace: the namespace of its executions; without it, it is requested once.

    Raises:
        ConfigurationError: the configuration cannot be used, or this version of the official client
            is not supported; the client is left as it was.
    """
    _check(config)
    hook = _hook()
    name = namespace or _request_namespace(client)
    hook.configure_workflow_encoding(config, name, client.sdk_configuration)
    _replace_encoder(hook, client, name)


async def configure_async(client: Any, config: Any, *, namespace: str | None = None) -> None:
    """Async form of `configure`."""
    _check(config)
    hook = _hook()
    helpers = import_module("mistralai.extra.workflows.helpers")
    name: str = namespace or await helpers.get_scheduler_namespace(client)
    hook.configure_workflow_encoding(config, name, client.sdk_configuration)
    _replace_encoder(hook, client, name)


def _check(config: Any) -> None:
    """Convert a configuration, so that what cannot be used is refused here.

    Raises:
        ConfigurationError: it cannot be used.
    """
    offloading = offloading_of(config.payload_offloading)
    if offloading is not None:
        require_packages(offloading.storage_config)
    encryption_of(config.payload_encryption)
    compression_of(getattr(config, "payload_compression", None))


def _hook() -> Any:
    try:
        hook = import_module("mistralai.client._hooks.workflow_encoding_hook")
    except ImportError as error:
        raise ConfigurationError(
            f"the official client has no workflow encoding: install mistralai from 3.4 on ({error})"
        ) from error
    for name in ("configure_workflow_encoding", "_get_encoding_config"):
        if not callable(getattr(hook, name, None)):
            raise ConfigurationError(
                f"this version of mistralai is not supported: its encoding hook has no {name}"
            )
    return hook


def _replace_encoder(hook: Any, client: Any, namespace: str) -> None:
    configured = hook._get_encoding_config(client.sdk_configuration)
    encoder = getattr(configured, "payload_encoder", None)
    if encoder is None:
        raise ConfigurationError(
            "this version of mistralai is not supported: its encoding hook keeps no payload_encoder"
        )
    configured.payload_encoder = with_engine(encoder, find_namespace=lambda: namespace)


def _request_namespace(client: Any) -> str:
    """Return the namespace of a client's platform, by one request of its sync HTTP client.

    Raises:
        ConfigurationError: the platform does not name it.
    """
    configuration = client.sdk_configuration
    url, _ = configuration.get_server_details()
    security = configuration.security
    if callable(security):
        security = security()
    key = getattr(security, "api_key", None) or os.environ.get("MISTRAL_API_KEY", "")
    http = configuration.client
    response = http.send(
        http.build_request(
            "GET",
            f"{url.rstrip('/')}{_WHOAMI}",
            headers={"Authorization": f"Bearer {key}", "Accept": "application/json"},
        )
    )
    namespace = None
    if response.status_code == 200:
        namespace = response.json().get("namespace")
    if not isinstance(namespace, str) or not namespace:
        raise ConfigurationError(
            f"{url} does not name the namespace (status {response.status_code} of {_WHOAMI}): "
            "check the API key, or give namespace=…"
        )
    return namespace
