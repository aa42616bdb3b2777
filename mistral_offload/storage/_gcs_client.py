"""One Google Cloud Storage client per store, with its pool, its credentials and its address."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MissingExtraError, StorageConfigError

if TYPE_CHECKING:
    from requests import Session

_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
_EMULATOR = "STORAGE_EMULATOR_HOST"


class Connected(NamedTuple):
    """A bucket's client, and what carries its requests."""

    bucket: Any
    session: Session
    server: str


def connect(config: BlobStorageConfig) -> Connected:
    """Make the client; may ask the machine for its role.

    Raises:
        MissingExtraError: google-cloud-storage is not installed.
        StorageConfigError: the key file or another setting cannot be used.
    """
    try:
        from google.cloud import storage

        from mistral_offload.storage._http_pool import PooledAdapter
    except ImportError as error:
        raise MissingExtraError("Google Cloud Storage", "gcs") from error
    endpoint = endpoint_of(config)
    credentials = _credentials(config)
    try:
        client: Any = cast("Any", storage).Client(
            project=config.project,
            credentials=credentials,
            client_options={"api_endpoint": endpoint} if endpoint else None,
        )
        bucket = client.bucket(config.bucket_id, user_project=config.project)
    except ValueError:
        raise StorageConfigError(
            f"google-cloud-storage refuses bucket_id {config.bucket_id!r}, or the credentials are "
            "for another universe than GOOGLE_CLOUD_UNIVERSE_DOMAIN says"
        ) from None
    # The client has no setting for its pool; this is the way its maintainers point to.
    session = client._http
    for scheme in ("http://", "https://"):
        if scheme == "http://" or not session.is_mtls:
            session.mount(scheme, PooledAdapter(config.connections))
    return Connected(bucket, session, client._connection.get_api_base_url_for_mtls().rstrip("/"))


def endpoint_of(config: BlobStorageConfig) -> str | None:
    """Where the requests go, or None for Google's own.

    Raises:
        StorageConfigError: it is not an http(s) address, or carries a password.
    """
    given = config.endpoint_url or os.environ.get(_EMULATOR)
    if not given:
        return None
    name = "endpoint_url" if config.endpoint_url else _EMULATOR
    endpoint = given if config.endpoint_url or "://" in given else f"http://{given}"
    parts = urlsplit(endpoint)
    if parts.username is not None or parts.password is not None or parts.query:
        raise StorageConfigError(
            f"{name} must not carry a user name, a password or a query: credentials go into the "
            "file of service_account_path"
        )
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise StorageConfigError(f"{name} {given!r} is not an http(s) address")
    return endpoint.rstrip("/")


def _credentials(config: BlobStorageConfig) -> Any:
    import google.auth
    from google.auth.credentials import AnonymousCredentials
    from google.oauth2 import service_account

    if config.service_account_path is not None:
        try:
            return cast("Any", service_account).Credentials.from_service_account_file(
                str(config.service_account_path), scopes=[_SCOPE]
            )
        except (OSError, ValueError) as error:
            raise StorageConfigError(
                f"service_account_path {str(config.service_account_path)!r} is not a service "
                f"account's key file that can be read ({type(error).__name__})"
            ) from None
    given = config.endpoint_url
    if urlsplit(given).scheme == "http" if given else os.environ.get(_EMULATOR):
        return cast("Any", AnonymousCredentials)()  # a token must not travel in the clear
    return cast("Any", google.auth).default(scopes=[_SCOPE])[0]
