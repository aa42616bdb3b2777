"""Clients of one Azure container: one for each operation that runs at the same time."""

from __future__ import annotations

import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, urlsplit

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MissingExtraError, StorageConfigError
from mistral_offload.limits import MIB

if TYPE_CHECKING:
    from azure.core.credentials import AccessToken, TokenCredential
    from azure.storage.blob import ContainerClient

ONE_REQUEST_BYTES = 256 * MIB
"""Up to here a blob is put and got in one request: what every version of the service takes."""

_BLOCK_BYTES = 64 * MIB

_RENEWED_BEFORE_SECONDS = 300


class Clients:
    """Lends a client to one operation at a time, the one that came back last first.

    Azure's client makes no promise of thread safety; one that is lent has no other user. There are
    never more of them, nor of their connections, than operations at once, whatever threads these
    run in. They share one credential.

    Attributes:
        server: whom they ask, in words for an error.
    """

    def __init__(self, config: BlobStorageConfig) -> None:
        self._config = config
        self._idle: list[ContainerClient] = []
        self._making = threading.Lock()
        self._credential: SharedToken | None = None
        self.server = "the account of azure_connection_string"

    @contextmanager
    def lend(self) -> Generator[ContainerClient]:
        """A client for the time of one operation.

        Raises:
            MissingExtraError: Azure's packages are not installed.
            StorageConfigError: the connection string or the account URL cannot be used.
        """
        try:
            client = self._idle.pop()
        except IndexError:
            client = self._make()
        try:
            yield client
        finally:
            self._idle.append(client)

    def close(self) -> None:
        """Close every client and the credential; none may be lent at this time."""
        while self._idle:
            self._idle.pop().close()
        if self._credential is not None:
            self._credential.close()

    def _make(self) -> ContainerClient:
        try:
            from azure.storage.blob import ContainerClient

            from mistral_offload.storage._azure_transport import WholeBodyTransport
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
            "max_single_put_size": ONE_REQUEST_BYTES,
            "max_block_size": _BLOCK_BYTES,
            "max_single_get_size": ONE_REQUEST_BYTES,
            "max_chunk_get_size": ONE_REQUEST_BYTES,
        }
        if config.azure_connection_string is None:
            self.server = config.azure_storage_account_url or ""
            return ContainerClient(
                config.azure_storage_account_url or "", credential=self._shared(), **settings
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
                "azure_connection_string is malformed: copy it anew, whole, from the storage "
                "account's access keys or shared access signature"
            )
        self.server = f"{address.scheme}://{address.netloc.rpartition('@')[2]}"
        return client

    def _shared(self) -> SharedToken:
        with self._making:
            if self._credential is None:
                try:
                    from azure.identity import DefaultAzureCredential
                except ImportError as error:
                    raise MissingExtraError("Azure storage", "azure") from error
                self._credential = SharedToken(DefaultAzureCredential())
            return self._credential


class SharedToken:
    """A credential that asks once for all clients; by itself each of them would ask."""

    def __init__(self, credential: TokenCredential) -> None:
        self._credential = credential
        self._tokens: dict[object, AccessToken] = {}
        self._asking = threading.Lock()

    def get_token(self, *scopes: str, **options: Any) -> AccessToken:
        """A token that is good for some minutes yet."""
        if options.get("claims"):  # the service refused the one we have
            return self._credential.get_token(*scopes, **options)
        kind = scopes, *sorted(options.items())
        with self._asking:
            token = self._tokens.get(kind)
            if token is None or token.expires_on - time.time() < _RENEWED_BEFORE_SECONDS:
                token = self._tokens[kind] = self._credential.get_token(*scopes, **options)
            return token

    def close(self) -> None:
        """Close the credential's own connections."""
        close = getattr(self._credential, "close", None)
        if close is not None:
            close()


def check_account_url(url: str) -> None:
    """Refuse an account URL that is none, or that carries a secret.

    Raises:
        StorageConfigError: it cannot be used.
    """
    parts = urlsplit(url)
    if parts.query or parts.username is not None or parts.password is not None:
        raise StorageConfigError(
            "azure_storage_account_url must not carry a signature or a password: a shared access "
            "signature goes into azure_connection_string, as SharedAccessSignature=…"
        )
    if parts.scheme != "https" or not parts.hostname:
        raise StorageConfigError(
            f"azure_storage_account_url {url!r} is not an https address, and tokens are sent over "
            "https only; another server goes into azure_connection_string, as BlobEndpoint=…"
        )


def secrets_of(connection_string: str) -> tuple[str, ...]:
    """The parts of a connection string that nobody may see, in every spelling."""
    fields = (field.partition("=") for field in connection_string.split(";"))
    values = {name.strip().lower(): value.strip() for name, _, value in fields}
    key, signature = values.get("accountkey"), values.get("sharedaccesssignature", "")
    pairs = [pair.partition("=") for pair in signature.lstrip("?").split("&")]
    spelled = [value for name, _, value in pairs if name == "sig"]
    decoded = [value for name, value in parse_qsl(signature.lstrip("?")) if name == "sig"]
    return tuple(secret for secret in (key, *spelled, *decoded) if secret)
