"""Translates errors of Google Cloud Storage and google-auth into ours, by class and status."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from mistral_offload.errors import (
    BlobNotFoundError,
    ContainerNotFoundError,
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.storage._gcs_token_faults import token_fault
from mistral_offload.storage._http_errors import is_untrusted_certificate

if TYPE_CHECKING:
    from requests import Response

_SHOWN_CHARACTERS = 500


class RefusedError(Exception):
    """An error response that has not been translated yet."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"HTTP {response.status_code}: {response.text[:_SHOWN_CHARACTERS]}")
        self.status_code = response.status_code
        self.response: Response | None = response


class Target(NamedTuple):
    """The operation, bucket and key of a failed request."""

    operation: str
    bucket: str
    key: str | None
    server: str


ErrorKind = type[StorageError | StorageConfigError]

_NOT_FOUND = (
    "nothing is stored under this key: it was never written, was deleted, or expired by a "
    "lifecycle rule; reader and writer need the same bucket and prefix. Google Cloud Storage "
    "responds the same if the bucket does not exist"
)
_NO_BUCKET = "the bucket does not exist: create it, or fix bucket_id"
_BUSY = "the server cannot handle the request now: retry later"

_PERMISSION = {
    "put": "storage.objects.create, and storage.objects.delete to overwrite",
    "get": "storage.objects.get",
    "stat": "storage.objects.get",
    "renew": "storage.objects.get, storage.objects.create and storage.objects.delete",
    "delete": "storage.objects.delete",
    "list": "storage.objects.list",
    "read lifecycle": "storage.buckets.get",
    "write lifecycle": "storage.buckets.update",
}


def translate_error(error: Exception, target: Target) -> MistralOffloadError | None:
    """Return this package's error for one of google-auth or requests, or None for any other."""
    import requests
    import urllib3
    from google.auth.exceptions import GoogleAuthError

    if isinstance(error, RefusedError):
        kind, text = _classify_response(error.status_code, target)
        text = f"{text} ({target.operation}: HTTP {error.status_code})"
    elif isinstance(
        error, (GoogleAuthError, requests.RequestException, urllib3.exceptions.HTTPError)
    ):
        kind, text = _classify_exception(error, target)
        text = f"{text} ({target.operation}: {type(error).__name__})"
    else:
        return None
    if issubclass(kind, StorageConfigError):
        return kind(f"{text} (gcs bucket {target.bucket!r}, {target.server})")
    return kind(text, provider="gcs", container=target.bucket, key=target.key)


def _classify_response(status: int, target: Target) -> tuple[ErrorKind, str]:
    if status == 401:
        return StorageAccessDeniedError, (
            "the credentials are missing or not valid: check service_account_path or the default "
            "credentials, and this machine's clock"
        )
    if status == 403:
        return StorageAccessDeniedError, _permission_message(target.operation)
    if status == 404:
        reads = target.operation in ("get", "stat", "renew")
        return (BlobNotFoundError, _NOT_FOUND) if reads else (ContainerNotFoundError, _NO_BUCKET)
    if status in (408, 409, 429) or status >= 500:
        return StorageUnavailableError, f"{_BUSY}; server: {target.server}"
    if 300 <= status < 400:
        return StorageConfigError, "the server redirects to another address: fix endpoint_url"
    return StorageError, (
        "the server refused the request: check bucket_id; a requester-pays bucket needs project"
    )


def _permission_message(operation: str) -> str:
    role = "Storage Admin" if operation.endswith("lifecycle") else "Storage Object User"
    text = (
        f"the credentials do not allow this: they need {_PERMISSION[operation]}, for example by "
        f"the role {role!r} on the bucket"
    )
    if operation in ("get", "stat"):
        text += "; without storage.objects.list, the response is the same if the key does not exist"
    return text


def _classify_exception(error: Exception, target: Target) -> tuple[ErrorKind, str]:
    import requests
    from google.auth import exceptions as auth

    if is_untrusted_certificate(error):
        return StorageConfigError, (
            "the server's certificate is not trusted: set REQUESTS_CA_BUNDLE to the file with the "
            "certificate of its authority"
        )
    if isinstance(error, auth.DefaultCredentialsError):
        return StorageAccessDeniedError, (
            "no credentials were found: set service_account_path, or provide Google's default "
            "credentials (GOOGLE_APPLICATION_CREDENTIALS, gcloud, a role of the machine)"
        )
    fault = token_fault(error)
    if fault is not None:
        return fault
    if isinstance(error, auth.RefreshError) and not getattr(error, "retryable", False):
        return StorageAccessDeniedError, (
            "the credentials were refused: check that the key is not deleted, that the account is "
            "not disabled, and this machine's clock"
        )
    if isinstance(error, requests.RequestException) and isinstance(error, ValueError):
        # Never sent, or the response is not of this API.
        return StorageConfigError, f"{target.server} is not Google Cloud Storage: fix endpoint_url"
    return StorageUnavailableError, (
        f"no response, or an incomplete one, from {target.server}: check the network and any proxy"
    )
