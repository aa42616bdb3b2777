"""Clients of one Azure container: one per concurrent operation."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MissingExtraError, StorageConfigError
from mistral_offload.limits import MIB
from mistral_offload.storage.credential_requests import CredentialRequests
from mistral_offload.storage.response_form import checked_form

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential
    from azure.storage.blob import ContainerClient

ONE_REQUEST_BYTES = 256 * MIB
"""Largest blob transferred in one request, in bytes; every version of the service accepts it."""

SMALLEST_IN_BLOCKS = 64 * MIB
"""Size in bytes above which a blob may be written in blocks, as Azure's SDK does by default."""

_BLOCK_BYTES = 64 * MIB

_SILENT = logging.Logger("mistral-offload-azure", logging.CRITICAL)
"""Takes the record of about twenty lines that the SDK writes for each request at level INFO."""

_RENEW_BEFORE_SECONDS = 300
"""Remaining lifetime below which a token is replaced."""


class Clients:
    """Pool of clients: each is lent to one operation at a time, the last returned first.

    Azure does not promise that its client is thread-safe, so a client has one user at a time. There
    are never more clients, or connections, than concurrent operations. All share one credential.

    Attributes:
        server: the account's address, as text for an error message.
    """

    def __init__(self, config: BlobStorageConfig) -> None:
        self._config = config
        self._idle: list[ContainerClient] = []
        self._credential_lock = threading.Lock()
        self._credential: SharedToken | None = None
        self.server = "the account of azure_connection_string"

    @contextmanager
    def lend(self) -> Generator[ContainerClient]:
        """Lend a client for the duration of one operation.

        Raises:
            MissingExtraError: Azure's packages are not installed.
            StorageConfigError: the connection string or the account URL cannot be used.
            MalformedResponseError: the SDK could not read a response.
        """
        try:
            client = self._idle.pop()
        except IndexError:
            client = self._create()
        from azure.core.exceptions import AzureError

        try:
            with checked_form(AzureError):
                yield client
        finally:
            self._idle.append(client)

    def close(self) -> None:
        """Close every client and the credential; no client may be in use."""
        while self._idle:
            self._idle.pop().close()
        if self._credential is not None:
            self._credential.close()

    def _create(self) -> ContainerClient:
        try:
            from azure.storage.blob import ContainerClient

            from mistral_offload.storage._azure_transport import WholeBodyTransport
            from mistral_offload.storage._http_variables import check_variables
        except ImportError as error:
            raise MissingExtraError("Azure storage", "azure") from error
        config = self._config
        settings: dict[str, Any] = {
            "container_name": config.container_name,
            "transport": WholeBodyTransport(
                connect_timeout=config.connect_timeout_seconds,
                read_timeout=config.read_timeout_seconds,
            ),
            "retry_total": 0,
            "logger": _SILENT,
            "max_single_put_size": ONE_REQUEST_BYTES,
            "max_block_size": _BLOCK_BYTES,
            "max_single_get_size": ONE_REQUEST_BYTES,
            "max_chunk_get_size": ONE_REQUEST_BYTES,
        }
        if config.azure_connection_string is None:
            self.server = config.azure_storage_account_url or ""
            check_variables(self.server)
            return ContainerClient(
                config.azure_storage_account_url or "",
                credential=self._shared_credential(),
                **settings,
            )
        try:
            client = ContainerClient.from_connection_string(
                config.azure_connection_string.get_secret_value(), **settings
            )
        except ValueError:  # its text may quote the string
            client = None
        address = urlsplit(client.url) if client is not None else None
        if client is None or address is None or not address.hostname:
            raise StorageConfigError(
                "azure_connection_string is malformed: copy all of it again from the storage "
                "account's access keys or shared access signature"
            )
        self.server = f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
        check_variables(self.server)
        return client

    def _shared_credential(self) -> SharedToken:
        with self._credential_lock:
            if self._credential is None:
                try:
                    from mistral_offload.storage._azure_credentials import DefaultCredential

                    credential = DefaultCredential(_SILENT)
                except ImportError as error:
                    raise MissingExtraError("Azure storage", "azure") from error
                self._credential = SharedToken(credential, self._config.retry_seconds)
            return self._credential


class SharedToken:
    """A credential that requests each token once for all clients, and keeps it.

    Args:
        credential: the credential that requests the tokens.
        retry_seconds: longest time to wait for one, see `CredentialRequests`.
    """

    def __init__(self, credential: TokenCredential, retry_seconds: float = 0.0) -> None:
        self._credential = credential
        self._tokens: dict[object, AccessToken] = {}
        self._requests: CredentialRequests[AccessToken] = CredentialRequests(retry_seconds)

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """Return a token that is valid for at least five more minutes."""
        cache_key = scopes, *sorted(options.items())
        refused = bool(options.get("claims"))  # the service refused the current token

        def current() -> AccessToken | None:
            token = None if refused else self._tokens.get(cache_key)
            fresh = token is not None and token.expires_on - time.time() >= _RENEW_BEFORE_SECONDS
            return token if fresh else None

        def request() -> AccessToken:
            token = current()  # requested since the caller looked
            if token is None:
                token = self._credential.get_token(*scopes, **options)
                if not refused:
                    self._tokens[cache_key] = token
            return token

        return current() or self._requests.run(cache_key, request)

    def close(self) -> None:
        """Close the credential's own connections."""
        close = getattr(self._credential, "close", None)
        if close is not None:
            close()


def check_account_url(url: str) -> None:
    """Refuse an account URL that is not an https address, or that contains a secret.

    Raises:
        StorageConfigError: the URL cannot be used.
    """
    parts = urlsplit(url)
    if parts.query or parts.username is not None or parts.password is not None:
        raise StorageConfigError(
            "azure_storage_account_url must not contain a signature or a password: put a shared "
            "access signature into azure_connection_string, as SharedAccessSignature=…"
        )
    if parts.scheme != "https" or not parts.hostname:
        raise StorageConfigError(
            f"azure_storage_account_url {url!r} is not an https address, and tokens are sent over "
            "https only; put another server into azure_connection_string, as BlobEndpoint=…"
        )


def secrets_in(connection_string: str) -> tuple[str, ...]:
    """Return the key and signature in a connection string, the latter in both its encodings."""
    fields = (field.partition("=") for field in connection_string.split(";"))
    values = {name.strip().lower(): value.strip() for name, _, value in fields}
    key, signature = values.get("accountkey"), values.get("sharedaccesssignature", "")
    pairs = [pair.partition("=") for pair in signature.lstrip("?").split("&")]
    encoded = [value for name, _, value in pairs if name == "sig"]
    decoded = [value for name, value in parse_qsl(signature.lstrip("?")) if name == "sig"]
    return tuple(secret for secret in (key, *encoded, *decoded) if secret)
