"""What S3 and botocore say when something fails, as errors of ours: by code and status only."""

from __future__ import annotations

import ssl
from typing import NamedTuple

from mistral_offload._http_dates import seconds_off
from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    ContainerNotFoundError,
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
)


class Target(NamedTuple):
    """What a failed request was about."""

    operation: str
    bucket: str
    key: str | None
    server: str
    """Region or endpoint, in words."""


NOT_FOUND = (
    "nothing is stored under this key: it was never written, was deleted, or expired by a "
    "lifecycle rule; reader and writer need the same bucket and prefix"
)

_NO_BUCKET = "the bucket does not exist: create it, or mend bucket_name, region_name, endpoint_url"
_INVALID = "the credentials are not valid: check the access key, its secret and any session token"
_EXPIRED = "the credentials have expired: renew them"
_REGION = "the bucket is in another region, or not behind this endpoint: mend region_name"
_DIGEST = "the server received other bytes than were sent, or was given the wrong sha256"
_BUSY = "the server cannot take the request now: try again later"

_TOO_SKEWED = "RequestTimeTooSkewed"
_MOST_SECONDS_OFF = 15 * 60

_BY_CODE: dict[str, tuple[type[StorageError | StorageConfigError], str]] = {
    "NoSuchKey": (BlobNotFoundError, NOT_FOUND),
    "NoSuchBucket": (ContainerNotFoundError, _NO_BUCKET),
    "InvalidAccessKeyId": (StorageAccessDeniedError, _INVALID),
    "SignatureDoesNotMatch": (StorageAccessDeniedError, _INVALID),
    "InvalidToken": (StorageAccessDeniedError, _INVALID),
    "InvalidSecurity": (StorageAccessDeniedError, _INVALID),
    "ExpiredToken": (StorageAccessDeniedError, _EXPIRED),
    "ExpiredTokenException": (StorageAccessDeniedError, _EXPIRED),
    "TokenRefreshRequired": (StorageAccessDeniedError, _EXPIRED),
    _TOO_SKEWED: (
        StorageAccessDeniedError,
        "this machine's clock and the server's are too far apart: set the clock",
    ),
    "InvalidObjectState": (StorageError, "the blob is archived: restore it before it is read"),
    "InvalidBucketName": (StorageConfigError, "bucket_name is not a name S3 allows"),
    "AuthorizationHeaderMalformed": (StorageConfigError, _REGION),
    "PermanentRedirect": (StorageConfigError, _REGION),
    "TemporaryRedirect": (StorageConfigError, _REGION),
    "IllegalLocationConstraintException": (StorageConfigError, _REGION),
    "NotImplemented": (
        StorageConfigError,
        "the server does not know conditional writes or another part of the request",
    ),
    "KMS.DisabledException": (StorageConfigError, "the bucket's KMS key is disabled"),
    "KMS.NotFoundException": (StorageConfigError, "the bucket's KMS key does not exist"),
    "BadDigest": (BlobCorruptedError, _DIGEST),
    "InvalidDigest": (BlobCorruptedError, _DIGEST),
    "XAmzContentSHA256Mismatch": (BlobCorruptedError, _DIGEST),
    "XAmzContentChecksumMismatch": (BlobCorruptedError, _DIGEST),
    "RequestTimeout": (StorageUnavailableError, _BUSY),
    "SlowDown": (StorageUnavailableError, _BUSY),
    "Throttling": (StorageUnavailableError, _BUSY),
    "RequestLimitExceeded": (StorageUnavailableError, _BUSY),
    "OperationAborted": (StorageUnavailableError, _BUSY),
    "ConditionalRequestConflict": (StorageUnavailableError, _BUSY),
    "NoSuchUpload": (
        StorageError,
        "somebody or a lifecycle rule has aborted the upload: put the blob again",
    ),
}

_STATUS_IN_BATCH = {"AccessDenied": 403, "InternalError": 500, "ServiceUnavailable": 503}

_PERMISSION = {
    "put": "s3:PutObject",  # creates, fills and joins uploads in parts, too
    "get": "s3:GetObject",
    "stat": "s3:GetObject",
    "delete": "s3:DeleteObject",
    "list": "s3:ListBucket",
    "read lifecycle": "s3:GetLifecycleConfiguration",
    "write lifecycle": "s3:PutLifecycleConfiguration",
}


def failure_of(error: Exception, target: Target) -> MistralOffloadError | None:
    """The error of ours for what boto3 raised, or None when it is not boto3's."""
    from botocore.exceptions import BotoCoreError, ClientError

    if isinstance(error, ClientError):
        code = _TOO_SKEWED if _is_clock_off(error) else error_code(error)
        kind, text = _answered(code, http_status(error), target)
        text = f"{text} ({target.operation}: {error_code(error)}, HTTP {http_status(error)})"
    elif isinstance(error, BotoCoreError):
        kind, text = _not_answered(error, target)
        text = f"{text} ({target.operation}: {type(error).__name__})"
    else:
        return None
    if issubclass(kind, StorageConfigError):
        return kind(f"{text} (s3 bucket {target.bucket!r}, {target.server})")
    return kind(text, provider="s3", container=target.bucket, key=target.key)


def refusal_of(code: str, target: Target) -> StorageError:
    """The error of ours for one key of a batch that was refused, by its code alone."""
    kind, text = _answered(code, _STATUS_IN_BATCH.get(code, 400), target)
    if issubclass(kind, StorageConfigError):
        kind = StorageError
    text = f"{text} ({target.operation}: {code})"
    return kind(text, provider="s3", container=target.bucket, key=target.key)


def error_code(error: Exception) -> str:
    """The code of an S3 error answer; the status again where the answer has no body."""
    response = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


def http_status(error: Exception) -> int:
    """The HTTP status of an error answer."""
    response = getattr(error, "response", {})
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def _answered(
    code: str, status: int, target: Target
) -> tuple[type[StorageError | StorageConfigError], str]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status in (401, 403):
        return StorageAccessDeniedError, _denied(target.operation)
    if status == 404:
        reads = target.operation in ("get", "stat")
        return (BlobNotFoundError, NOT_FOUND) if reads else (ContainerNotFoundError, _NO_BUCKET)
    if status in (301, 302, 307, 308):
        return StorageConfigError, _REGION
    if status == 501:
        return _BY_CODE["NotImplemented"]
    if status in (408, 409, 429) or status >= 500:
        return StorageUnavailableError, f"{_BUSY}; it was {target.server}"
    return StorageError, "the server refused the request"


def _is_clock_off(error: Exception) -> bool:
    """Whether the clock is why a request was refused: the answer to a HEAD has no code."""
    if http_status(error) != 403 or error_code(error) not in ("", "403"):
        return False
    response = getattr(error, "response", {})
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    off = seconds_off(headers.get("date"))
    return off is not None and off > _MOST_SECONDS_OFF


def _denied(operation: str) -> str:
    text = f"the credentials do not allow this: they need {_PERMISSION[operation]}"
    if operation in ("get", "stat"):
        text += "; without s3:ListBucket, S3 answers the same when the key does not exist"
    return text


def _not_answered(
    error: Exception, target: Target
) -> tuple[type[StorageError | StorageConfigError], str]:
    from botocore import exceptions

    if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
        return StorageAccessDeniedError, (
            "no credentials were found: give aws_access_key_id and aws_secret_access_key, or an "
            "environment, profile or role that the AWS default chain finds"
        )
    if isinstance(
        error,
        (
            exceptions.CredentialRetrievalError,
            exceptions.TokenRetrievalError,
            exceptions.NoAuthTokenError,
            exceptions.MetadataRetrievalError,
            exceptions.SSOError,
        ),
    ):
        return StorageAccessDeniedError, "the AWS default chain could not get credentials"
    if isinstance(error, exceptions.SSLError) and _is_untrusted(error):
        return StorageConfigError, (
            "the server's certificate is not trusted: name its authority's file in ca_bundle"
        )
    if isinstance(error, exceptions.HTTPClientError) and isinstance(
        error.kwargs.get("error"), ValueError
    ):
        # Never sent: http.client refused a header, most likely one made of a credential.
        return StorageConfigError, (
            "the request cannot be sent: look for line breaks in the credentials"
        )
    if isinstance(
        error,
        (
            exceptions.ConnectionError,
            exceptions.HTTPClientError,
            exceptions.IncompleteReadError,
        ),
    ):
        return StorageUnavailableError, (
            f"no answer from {target.server}: check the network, endpoint_url and any proxy"
        )
    return StorageConfigError, "boto3 cannot use these settings"


def _is_untrusted(error: Exception) -> bool:
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ssl.SSLCertVerificationError):
            return True
        link = link.__cause__ or link.__context__
    return False
