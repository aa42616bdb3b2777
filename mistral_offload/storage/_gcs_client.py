"""One session per Google Cloud Storage store, with its pool, its credentials and its address.

Made of google-auth and the documented JSON API. google-cloud-storage is not used: measured with
version 3.17, it makes two requests of an upload above 8 MiB, looks the bucket up in threads of
its own, at the start and again after misses, copies a body to frame it and reads a download in
pieces of 8 KiB: client CPU for 8 MiB there and back is 25 ms, against 7 ms here.
"""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from urllib.parse import urlsplit

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MissingExtraError, StorageConfigError

if TYPE_CHECKING:
    from requests import Session

OBJECTS_SCOPE = "https://www.googleapis.com/auth/devstorage.read_write"
BUCKETS_SCOPE = "https://www.googleapis.com/auth/devstorage.full_control"
"""What it takes to change a bucket itself, by Google's reference of ``buckets.patch``."""

_EMULATOR = "STORAGE_EMULATOR_HOST"
_MTLS_SERVER = "https://storage.mtls.googleapis.com"


class Connected(NamedTuple):
    """What carries a store's requests, and where to."""

    session: Session
    server: str


def connect(config: BlobStorageConfig, *, scope: str = OBJECTS_SCOPE) -> Connected:
    """Make the session and ask for its first token, if it needs one.

    ``scope`` is what the token may be used for, at most.

    Raises:
        MissingExtraError: google-auth or requests is not installed.
        StorageConfigError: the key file or another setting cannot be used.
    """
    try:
        from google.auth.transport.requests import AuthorizedSession, Request

        from mistral_offload.storage._http_pool import PooledAdapter
    except ImportError as error:
        raise MissingExtraError("Google Cloud Storage", "gcs") from error
    credentials = _credentials(config, scope)
    session: Any = cast("Any", AuthorizedSession)(credentials)
    for scheme in ("http://", "https://"):
        session.mount(scheme, PooledAdapter(config.connections))
    session.configure_mtls_channel()  # does nothing unless the machine has such certificates
    own = _MTLS_SERVER if session.is_mtls else f"https://storage.{credentials.universe_domain}"
    server = endpoint_of(config) or own
    # One thread asks for the first token here, and one in the background for each next one. Left
    # alone, every thread asks that finds none.
    timeout = (config.connect_timeout_seconds, config.read_timeout_seconds)
    credentials.with_non_blocking_refresh()
    credentials.before_request(partial(cast("Any", Request)(), timeout=timeout), "GET", server, {})
    return Connected(session, server)


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


def _credentials(config: BlobStorageConfig, scope: str) -> Any:
    import google.auth
    from google.auth.credentials import AnonymousCredentials
    from google.oauth2 import service_account

    if config.service_account_path is not None:
        try:
            return cast("Any", service_account).Credentials.from_service_account_file(
                str(config.service_account_path), scopes=[scope]
            )
        except (OSError, ValueError) as error:
            raise StorageConfigError(
                f"service_account_path {str(config.service_account_path)!r} is not a service "
                f"account's key file that can be read ({type(error).__name__})"
            ) from None
    given = config.endpoint_url
    if urlsplit(given).scheme == "http" if given else os.environ.get(_EMULATOR):
        return cast("Any", AnonymousCredentials)()  # a token must not travel in the clear
    return cast("Any", google.auth).default(scopes=[scope])[0]
