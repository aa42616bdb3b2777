"""What Google Cloud Storage says when something fails, as errors of ours: by class and status."""

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
from mistral_offload.storage._http_errors import is_untrusted

if TYPE_CHECKING:
    from requests import Response

_SHOWN_CHARACTERS = 500


class RefusedError(Exception):
    """An error answer as it came, before it is one of ours."""

    def __init__(self, response: Response) -> None:
        super().__init__(f"HTTP {response.status_code}: {response.text[:_SHOWN_CHARACTERS]}")
        self.status_code = response.status_code
        self.response: Response | None = response


class Target(NamedTuple):
    """What a failed request was about."""

    operation: str
    bucket: str
    key: str | None
    server: str


ErrorKind = type[StorageError | StorageConfigError]

_NOT_FOUND = (
    "nothing is stored under this key: it was never written, was deleted, or expired by a "
    "lifecycle rule; reader and writer need the same bucket and prefix. Google Cloud Storage "
    "answers the same when the bucket does not exist"
)
_NO_BUCKET = "the bucket does not exist: create it, or mend bucket_id"
_BUSY = "the server cannot take the request now: try again later"

_PERMISSION = {
    "put": "storage.objects.create, and storage.objects.delete to overwrite",
    "get": "storage.objects.get",
    "stat": "storage.objects.get",
    "delete": "storage.objects.delete",
    "list": "storage.objects.list",
    "read lifecycle": "storage.buckets.get",
    "write lifecycle": "storage.buckets.update",
}


def failure_of(error: Exception, target: Target) -> MistralOffloadError | None:
    """The error of ours for what google-auth and requests raised, or None when it is not theirs."""
    import requests
    import urllib3
    from google.auth.exceptions import GoogleAuthError

    if isinstance(error, RefusedError):
        kind, text = _answered(error.status_code, target)
        text = f"{text} ({target.operation}: HTTP {error.status_code})"
    elif isinstance(
        error, (GoogleAuthError, requests.RequestException, urllib3.exceptions.HTTPError)
    ):
        kind, text = _not_answered(error, target)
        text = f"{text} ({target.operation}: {type(error).__name__})"
    else:
        return None
    if issubclass(kind, StorageConfigError):
        return kind(f"{text} (gcs bucket {target.bucket!r}, {target.server})")
    return kind(text, provider="gcs", container=target.bucket, key=target.key)


def _answered(status: int, target: Target) -> tuple[ErrorKind, str]:
    if status == 401:
        return StorageAccessDeniedError, (
            "the credentials are not valid, or there are none: check service_account_path or the "
            "default credentials, and this machine's clock"
        )
    if status == 403:
        return StorageAccessDeniedError, _denied(target.operation)
    if status == 404:
        reads = target.operation in ("get", "stat")
        return (BlobNotFoundError, _NOT_FOUND) if reads else (ContainerNotFoundError, _NO_BUCKET)
    if status in (408, 409, 429) or status >= 500:
        return StorageUnavailableError, f"{_BUSY}; it was {target.server}"
    if 300 <= status < 400:
        return StorageConfigError, "the server sends us elsewhere: mend endpoint_url"
    return StorageError, (
        "the server refused the request: check bucket_id; a bucket whose requester pays needs "
        "project"
    )


def _denied(operation: str) -> str:
    role = "Storage Admin" if operation.endswith("lifecycle") else "Storage Object User"
    text = (
        f"the credentials do not allow this: they need {_PERMISSION[operation]}, as the role "
        f"{role!r} on the bucket has it"
    )
    if operation in ("get", "stat"):
        text += "; without storage.objects.list, the answer is the same when there is no such key"
    return text


def _not_answered(error: Exception, target: Target) -> tuple[ErrorKind, str]:
    import requests
    from google.auth import exceptions as auth

    if is_untrusted(error):
        return StorageConfigError, (
            "the server's certificate is not trusted: REQUESTS_CA_BUNDLE names the file of its "
            "authority"
        )
    if isinstance(error, auth.DefaultCredentialsError):
        return StorageAccessDeniedError, (
            "no credentials were found: give service_account_path, or run where Google's default "
            "credentials are (GOOGLE_APPLICATION_CREDENTIALS, gcloud, a role of the machine)"
        )
    if isinstance(error, auth.RefreshError) and not getattr(error, "retryable", False):
        return StorageAccessDeniedError, (
            "the credentials were refused: the key may be deleted or the account disabled, or this "
            "machine's clock is wrong"
        )
    if isinstance(error, requests.RequestException) and isinstance(error, ValueError):
        # Never sent, or not answered in the language of this service.
        return StorageConfigError, f"{target.server} is not Google Cloud Storage: mend endpoint_url"
    return StorageUnavailableError, (
        f"no answer, or half of one, from {target.server}: check the network and any proxy"
    )
