"""Client settings shared by async and sync requests: server, credentials, retries, encoding."""

from __future__ import annotations

import math
import os
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import httpx

from mistral_offload._credentials import (
    check_header,
    check_url,
    read_credential,
    strip_credential,
)
from mistral_offload._http_clients import HTTPClients
from mistral_offload._synchronization import FetchOnce
from mistral_offload._version import __version__
from mistral_offload.api.held_requests import HeldRequests
from mistral_offload.api.query import render_query
from mistral_offload.api.retries import DEFAULT_RETRIES, NO_RETRIES, RetryConfig
from mistral_offload.errors import ConfigurationError, ServiceAccountTokenError
from mistral_offload.limits import DEFAULT_MAX_RESPONSE_BYTES, DEFAULT_REQUEST_TIMEOUT_SECONDS

if TYPE_CHECKING:
    from mistral_offload.api.operation import Operation
    from mistral_offload.config import FieldOffloadingConfig, PayloadOffloadingConfig
    from mistral_offload.fields.offloader import FieldOffloader
    from mistral_offload.files.file_store import FileStore
    from mistral_offload.payload.encoder import PayloadEncoder

    FilePlaces = tuple[FieldOffloadingConfig | None, PayloadOffloadingConfig | None]

SERVERS = {
    "global": "https://api.mistral.ai",
    "eu": "https://api.eu.mistral.ai",
    "us": "https://api.us.mistral.ai",
}

_ACCEPTED_CODINGS = "gzip, deflate"
"""Content codings that are read; others can turn a few bytes into gigabytes in a single step."""
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")

_KEY_VARIABLES = ("MISTRAL_API_KEY", "MISTRAL_SA_TOKEN_PATH")

_URL_VARIABLE = "SERVER_URL"
"""The name that workers read, also those of the official SDK."""

_UNSET = "null"
"""A value that workers take for none."""

USER_AGENT = f"mistral-offload/{__version__} python/{platform.python_version()}"


class CallOptions(TypedDict, total=False):
    """Options of a single call that override the client's settings; every method accepts them.

    Attributes:
        retries: retries of this call; None turns them off.
        server_url: base URL of another platform.
        timeout_ms: connect, read, write and pool timeout in milliseconds.
        http_headers: additional headers; one that the client sends too replaces the client's.
    """

    retries: RetryConfig | None
    server_url: str | None
    timeout_ms: int | None
    http_headers: Mapping[str, str] | None


class Connection:
    """The settings of one client; does no I/O."""

    def __init__(
        self,
        *,
        api_key: str | Callable[[], str] | None,
        server: str | None,
        server_url: str | None,
        namespace: str | None,
        timeout_ms: int | None,
        retry_config: RetryConfig | None,
        hold_seconds: float = 0.0,
        max_response_bytes: int = DEFAULT_MAX_RESPONSE_BYTES,
    ) -> None:
        if api_key is not None and not callable(api_key):
            api_key = strip_credential(api_key, "api_key")
        self._api_key = api_key
        self._server_url = _base_url(server, server_url)
        self._timeout_ms = timeout_ms
        self._retries = retry_config
        self.namespace: FetchOnce[str] = FetchOnce(namespace)
        self.held_requests = HeldRequests(hold_seconds)
        self.max_response_bytes = max_response_bytes
        self._encoder: PayloadEncoder | None = None
        self._files: FileStore | None = None
        self._fields: FieldOffloader | None = None
        self._file_places: FilePlaces = (None, None)
        self.http_clients = HTTPClients()

    @property
    def encoder(self) -> PayloadEncoder:
        """Encoder of inputs and results; without payload settings, one that changes nothing."""
        if self._encoder is None:
            from mistral_offload.payload.encoder import PayloadEncoder

            self._encoder = PayloadEncoder()
        return self._encoder

    @property
    def files(self) -> FileStore | None:
        """The place for the files of inputs and results; None if no storage is configured."""
        if self._files is None:
            from mistral_offload.files.configuration import configured_files

            self._files = configured_files(*self._file_places, self.encoder.field_cipher)
        return self._files

    @property
    def fields(self) -> FieldOffloader:
        """Loads the activity fields in results, and gives their files access to the store."""
        if self._fields is None:
            from mistral_offload.config import FieldOffloadingConfig
            from mistral_offload.fields.offloader import FieldOffloader

            config, payloads = self._file_places
            if config is None and payloads is not None:
                config = FieldOffloadingConfig(storage_config=payloads.storage_config)
            self._fields = FieldOffloader(config, blob_codec=self.encoder, files=self.files)
        return self._fields

    @property
    def names_fields(self) -> bool:
        """True if a configuration of its own names the store of activity fields."""
        return self._file_places[0] is not None

    def use_encoder(self, encoder: PayloadEncoder | None, *, namespace: str | None) -> None:
        """Replace the encoder, and the namespace if one is given."""
        self._encoder = encoder
        if namespace is not None:
            self.namespace = FetchOnce(namespace)

    def use_fields(self, fields: FieldOffloader) -> None:
        """Replace the place for activity fields and files, whatever is configured."""
        self._fields, self._files = fields, fields.files

    def use_field_places(self, places: FilePlaces) -> None:
        """Replace the configurations that name the place for activity fields and files."""
        self._file_places = places
        self._fields = self._files = None

    def request(
        self,
        client: httpx.Client | httpx.AsyncClient,
        operation: Operation[object],
        *,
        path: Mapping[str, str],
        query: Mapping[str, object] | None,
        body: bytes | None,
        options: CallOptions,
    ) -> httpx.Request:
        """Build the request of an operation; retries send the same one."""
        given_url = options.get("server_url")
        server_url = _checked_server(given_url) if given_url else self._server_url
        headers = httpx.Headers({"accept": operation.accept, "user-agent": USER_AGENT})
        headers["accept-encoding"] = _ACCEPTED_CODINGS
        if body is not None:
            headers["content-type"] = "application/json"
        for name, value in (options.get("http_headers") or {}).items():
            checked: Any = check_header(name, value, "http_headers")
            headers.update({_checked_name(name): checked})
        if "authorization" not in headers and (authorization := self._authorization()) is not None:
            headers["authorization"] = authorization
        return client.build_request(
            operation.method,
            server_url + operation.url_path(path),
            params=tuple(render_query(query or {})) or None,
            content=body,
            headers=headers,
            timeout=self.timeout_seconds(options),
        )

    def timeout_seconds(self, options: CallOptions) -> float:
        """Return the connect, read, write and pool timeout of a call."""
        milliseconds = options.get("timeout_ms") or self._timeout_ms
        return milliseconds / 1000 if milliseconds else DEFAULT_REQUEST_TIMEOUT_SECONDS

    def limit_duration(
        self, operation: Operation[object], options: CallOptions, seconds: float
    ) -> CallOptions:
        """Return options whose request timeout and total retry time are at most ``seconds``."""
        milliseconds = max(1, math.ceil(seconds * 1000))
        timeout_ms = min(milliseconds, math.ceil(self.timeout_seconds(options) * 1000))
        retries = self.retry_config(operation, options)
        longest = min(milliseconds, retries.backoff.max_elapsed_time)
        backoff = replace(retries.backoff, max_elapsed_time=longest)
        bounded: CallOptions = {
            **options,
            "timeout_ms": timeout_ms,
            "retries": replace(retries, backoff=backoff),
        }
        return bounded

    def retry_config(self, operation: Operation[object], options: CallOptions) -> RetryConfig:
        """Return the call's retries, else the client's, else the default of the operation.

        By default only idempotent operations are retried, for 30 s or for ``timeout_ms`` if that
        is given and shorter.
        """
        if "retries" in options:
            return options["retries"] or NO_RETRIES
        if self._retries is not None:
            return self._retries
        if not operation.idempotent:
            return NO_RETRIES
        timeout_ms = options.get("timeout_ms") or self._timeout_ms
        backoff = DEFAULT_RETRIES.backoff
        if not timeout_ms or timeout_ms >= backoff.max_elapsed_time:
            return DEFAULT_RETRIES
        return replace(DEFAULT_RETRIES, backoff=replace(backoff, max_elapsed_time=timeout_ms))

    def _authorization(self) -> str | None:
        """Return the Authorization header: key given, else token file, else MISTRAL_API_KEY."""
        if self._api_key is not None:
            key = self._api_key
            if callable(key):
                key = strip_credential(key(), "the key that the function given as api_key returned")
        elif path := os.environ.get("MISTRAL_SA_TOKEN_PATH"):
            key = read_service_account_token(Path(path))
        else:
            key = os.environ.get("MISTRAL_API_KEY", "")
            if not key:
                return None
            key = strip_credential(key, "MISTRAL_API_KEY")
        return key if key.lower().startswith("bearer ") else f"Bearer {key}"


def require_api_key() -> None:
    """Check that a variable of the environment provides the API key; reads no file.

    Raises:
        ConfigurationError: none does.
    """
    if not any(os.environ.get(name) for name in _KEY_VARIABLES):
        raise ConfigurationError(
            f"there is no API key: write Mistral(api_key=…), or set {' or '.join(_KEY_VARIABLES)}. "
            "The local platform of mistral-offload dev prints the key it accepts"
        )


def read_service_account_token(path: Path) -> str:
    """Read a service-account token from its file.

    Callers read it for every request, since tokens are rotated in place.

    Raises:
        ServiceAccountTokenError: the file cannot be read, is empty, or holds characters that no
            token has.
    """
    return read_credential(path, "MISTRAL_SA_TOKEN_PATH", error_class=ServiceAccountTokenError)


def _checked_name(name: str) -> str:
    if _HEADER_NAME.fullmatch(name):
        return name
    raise ConfigurationError(f"http_headers: {name!r} is not the name of a header")


def _base_url(server: str | None, server_url: str | None) -> str:
    """Return the URL that is given, else that of the named server, the variable, or the default."""
    if server_url:
        return _checked_server(server_url)
    url = None if server else os.environ.get(_URL_VARIABLE)
    if url and url != _UNSET:
        return _checked_server(url, _URL_VARIABLE)
    try:
        return SERVERS[server or "global"]
    except KeyError:
        raise ValueError(f"unknown server {server!r}: use one of {', '.join(SERVERS)}") from None


def _checked_server(url: str, setting: str = "server_url") -> str:
    """Return the base URL of a platform without a slash at its end."""
    check_url(url, setting, remedy="pass credentials as api_key or in http_headers")
    return url.strip().rstrip("/")
