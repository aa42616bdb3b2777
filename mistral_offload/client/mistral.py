"""``Mistral``, the client: every method as blocking ``foo()`` and as ``await foo_async()``."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import TYPE_CHECKING

import httpx

from mistral_offload import _forks
from mistral_offload._async.client import AsyncMistral
from mistral_offload._sync.client import SyncMistral
from mistral_offload.api.connection import Connection, require_api_key
from mistral_offload.api.retries import RetryConfig
from mistral_offload.errors import ConfigurationError
from mistral_offload.limits import DEFAULT_HOLD_SECONDS, DEFAULT_MAX_RESPONSE_BYTES

if TYPE_CHECKING:
    from mistral_offload.client.resources import Events, Workflows
    from mistral_offload.config import (
        FieldOffloadingConfig,
        PayloadCompressionConfig,
        PayloadEncryptionConfig,
        PayloadOffloadingConfig,
    )


class Mistral(AsyncMistral, SyncMistral):
    """Client for Mistral Workflows with inputs and results of any size.

    Every method exists in two forms: ``foo()`` blocks, ``await foo_async()`` does not. One client
    can be shared by threads and event loops. A ``with`` or ``async with`` block closes its
    connections; a client that lives as long as the process needs neither. Creating it does no I/O.

    Example::

        with Mistral(workflow_payload_offloading=offloading) as client:
            result = client.workflows.execute_workflow_and_wait("ocr", {"pages": pages})

        async with Mistral(workflow_payload_offloading=offloading) as client:
            result = await client.workflows.execute_workflow_and_wait_async("ocr", {"pages": pages})

    Args:
        api_key: the API key, or a function that returns it, called for every request. Default: the
            content of the file that ``MISTRAL_SA_TOKEN_PATH`` names, else ``MISTRAL_API_KEY``.
        server: ``global``, ``eu`` or ``us``.
        server_url: base URL to use instead of ``server``, for example the local platform's. Without
            either, that of the variable ``SERVER_URL``, which workers and commands read as well;
            without this, the global server.
        namespace: namespace of the workflows. Default: fetched from the platform once, when first
            needed.
        timeout_ms: connect, read, write and pool timeout of a request in milliseconds; 300,000 by
            default.
        retry_config: retries for every request. Default: idempotent requests are retried for up
            to 30 seconds, others are sent once. ``RetryConfig("none")`` turns retries off.
        client: an ``httpx.Client`` for the blocking methods; the caller closes it.
        async_client: an ``httpx.AsyncClient`` for the async methods; the caller closes it.
        hold_seconds: seconds for which ``execute_workflow_and_wait`` lets the platform hold the
            request that starts a workflow, so that a short one needs no other request. Longer ones
            are polled for, and all of them once the platform, or a proxy in front of it, has
            proved not to support this. 0 switches it off.
        max_response_bytes: most bytes of one response after decompression, and of one event of a
            stream, also with a unit as in ``"1MiB"``; 64 MiB by default. Blobs are read from the
            store and do not count.
        workflow_payload_offloading: the store for large inputs and results, and the size from
            which inputs are offloaded. Default: no offloading.
        workflow_payload_encryption: encryption keys and mode. Default: no encryption.
        workflow_payload_compression: compression level and the size from which inputs are
            compressed. Default: no compression.
        field_offloading: the store for files and for activity fields in results, if it is not that
            of ``workflow_payload_offloading``.

    Raises:
        ValueError: ``server`` is not one of the three names, ``hold_seconds`` is negative, or
            ``max_response_bytes`` is no size or not positive.
        MissingExtraError: a store, encryption or compression is configured, but its packages are
            not installed.
        ConfigurationError: there is no API key: none is given, neither variable is set, and no
            ``client`` or ``async_client`` that could send one; an argument has another type, or a
            payload setting cannot be used.
    """

    def __init__(
        self,
        api_key: str | Callable[[], str] | None = None,
        *,
        server: str | None = None,
        server_url: str | None = None,
        namespace: str | None = None,
        timeout_ms: int | None = None,
        retry_config: RetryConfig | None = None,
        client: httpx.Client | None = None,
        async_client: httpx.AsyncClient | None = None,
        hold_seconds: float = DEFAULT_HOLD_SECONDS,
        max_response_bytes: int | str = DEFAULT_MAX_RESPONSE_BYTES,
        workflow_payload_offloading: PayloadOffloadingConfig | None = None,
        workflow_payload_encryption: PayloadEncryptionConfig | None = None,
        workflow_payload_compression: PayloadCompressionConfig | None = None,
        field_offloading: FieldOffloadingConfig | None = None,
    ) -> None:
        sizes: dict[str, object] = {
            "hold_seconds": hold_seconds,
            "max_response_bytes": max_response_bytes,
        }
        for name, value in sizes.items():
            if value is None:
                raise ConfigurationError(f"{name} must not be None: leave it out for the default")
        _check_kinds(
            server_url=(server_url, str, "a text"),
            timeout_ms=(timeout_ms, (int, float), "a number of milliseconds"),
            retry_config=(retry_config, RetryConfig, "a RetryConfig, as RetryConfig('none')"),
            hold_seconds=(hold_seconds, (int, float), "a number of seconds"),
        )
        if isinstance(client, httpx.AsyncClient) or isinstance(async_client, httpx.Client):
            raise ConfigurationError(
                "client takes an httpx.Client, and async_client an httpx.AsyncClient"
            )
        if timeout_ms is not None and not timeout_ms >= 0:
            raise ConfigurationError(f"timeout_ms must not be negative, and is {timeout_ms}")
        if not hold_seconds >= 0:
            raise ValueError(f"hold_seconds must be 0 or more, not {hold_seconds}")
        if isinstance(max_response_bytes, str):
            from mistral_offload._sizes import require_size

            max_response_bytes = require_size(max_response_bytes, "max_response_bytes")
        _check_kinds(max_response_bytes=(max_response_bytes, (int, float), "a size"))
        if not max_response_bytes > 0:
            raise ValueError(f"max_response_bytes must be positive, not {max_response_bytes}")
        self._connection = Connection(
            api_key=api_key,
            server=server,
            server_url=server_url,
            namespace=namespace,
            timeout_ms=timeout_ms,
            retry_config=retry_config,
            hold_seconds=hold_seconds,
            max_response_bytes=max_response_bytes,
        )
        self.configure_encoding(
            workflow_payload_offloading=workflow_payload_offloading,
            workflow_payload_encryption=workflow_payload_encryption,
            workflow_payload_compression=workflow_payload_compression,
            field_offloading=field_offloading,
        )
        if api_key is None and client is None and async_client is None:
            require_api_key()
        self._given_client = client
        self._given_async_client = async_client
        self._lock = threading.Lock()
        self._workflows: Workflows | None = None
        _forks.register(self)

    def configure_encoding(
        self,
        *,
        workflow_payload_offloading: PayloadOffloadingConfig | None = None,
        workflow_payload_encryption: PayloadEncryptionConfig | None = None,
        workflow_payload_compression: PayloadCompressionConfig | None = None,
        field_offloading: FieldOffloadingConfig | None = None,
        namespace: str | None = None,
    ) -> None:
        """Replace the payload encoding of this client; it holds for later calls.

        Args:
            workflow_payload_offloading: as for the client itself. Default: no offloading.
            workflow_payload_encryption: as for the client itself. Default: no encryption.
            workflow_payload_compression: as for the client itself. Default: no compression.
            field_offloading: as for the client itself.
            namespace: namespace of the workflows. Default: unchanged.

        Raises:
            MissingExtraError: encryption or compression is configured, but its packages are not
                installed.
        """
        encoder = None
        if (
            workflow_payload_offloading is not None
            or workflow_payload_encryption is not None
            or workflow_payload_compression is not None
        ):
            from mistral_offload._config_arguments import require_config
            from mistral_offload.config import (
                PayloadCompressionConfig,
                PayloadEncryptionConfig,
                PayloadOffloadingConfig,
            )
            from mistral_offload.payload.encoder import PayloadEncoder

            for given, kind, name in (
                (workflow_payload_offloading, PayloadOffloadingConfig, "offloading"),
                (workflow_payload_encryption, PayloadEncryptionConfig, "encryption"),
                (workflow_payload_compression, PayloadCompressionConfig, "compression"),
            ):
                require_config(given, kind, f"workflow_payload_{name}")
            encoder = PayloadEncoder(
                workflow_payload_offloading,
                encryption=workflow_payload_encryption,
                compression=workflow_payload_compression,
            )
        if field_offloading is not None:
            from mistral_offload._config_arguments import require_config
            from mistral_offload.config import FieldOffloadingConfig

            require_config(field_offloading, FieldOffloadingConfig, "field_offloading")
        self._connection.use_encoder(encoder, namespace=namespace)
        self._connection.use_field_places((field_offloading, workflow_payload_offloading))

    def begin_anew(self) -> None:
        """Replace the lock in a forked child, where another thread may have held it."""
        self._lock = threading.Lock()

    @property
    def workflows(self) -> Workflows:
        """Workflows and their executions, schedules, runs, events, deployments and metrics.

        The first use in a process imports the API with all its models, which takes longer than
        importing and creating the client.
        """
        with self._lock:
            if self._workflows is None:
                from mistral_offload._async.http import AsyncHttp
                from mistral_offload._sync.http import SyncHttp
                from mistral_offload.client.resources import Workflows

                self._http_async = AsyncHttp(self._connection, self._given_async_client)
                self._http = SyncHttp(self._connection, self._given_client)
                self._workflows = Workflows(self._http_async, self._http)
            return self._workflows

    @property
    def events(self) -> Events:
        """Events of executions: the same as ``workflows.events``."""
        return self.workflows.events


def _check_kinds(**arguments: tuple[object, type | tuple[type, ...], str]) -> None:
    """Check the type of arguments that would otherwise fail only with the first request.

    Args:
        arguments: for each name the value, which may be None, its types, and a text for them.

    Raises:
        ConfigurationError: a value has another type.
    """
    for name, (value, kinds, text) in arguments.items():
        if value is not None and not isinstance(value, kinds):
            raise ConfigurationError(f"{name} must be {text}, not {type(value).__name__}")
