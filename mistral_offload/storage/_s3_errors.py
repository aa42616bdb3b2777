"""Translates errors of S3 and botocore into ours, by code, status and class only."""

from __future__ import annotations

import ssl
from typing import NamedTuple

from mistral_offload._http_dates import clock_skew_seconds
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
from mistral_offload.storage._s3_responses import IncompleteResponseError, NotS3Error, is_page


class Target(NamedTuple):
    """The operation, bucket and key of a failed request."""

    operation: str
    bucket: str
    key: str | None
    server: str
    """Region or endpoint, as text for an error message."""
    profile: str | None = None
    """The configured profile, which may name a role."""


NOT_FOUND = (
    "nothing is stored under this key: it was never written, was deleted, or expired by a "
    "lifecycle rule; reader and writer need the same bucket and prefix"
)

_NO_BUCKET = "the bucket does not exist: create it, or fix bucket_name, region_name or endpoint_url"
_INVALID = "the credentials are not valid: check the access key, its secret and any session token"
_EXPIRED = "the credentials have expired: renew them"
_REGION = (
    "the bucket is in another region or behind another endpoint: fix region_name or endpoint_url"
)
_DIGEST = "the server received other bytes than were sent, or the sha256 argument was wrong"
_BUSY = "the server cannot handle the request now: retry later"

_NOT_S3 = (
    "this is not an S3 server: fix endpoint_url, or whatever responds in the server's place, such "
    "as a sign-in page or a proxy"
)
_TOO_SKEWED = "RequestTimeTooSkewed"
_MAX_SKEW_SECONDS = 15 * 60

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
        "this machine's clock differs too much from the server's: set the clock",
    ),
    "InvalidObjectState": (StorageError, "the blob is archived: restore it before reading it"),
    "InvalidBucketName": (StorageConfigError, "bucket_name is not a valid S3 bucket name"),
    "AuthorizationHeaderMalformed": (StorageConfigError, _REGION),
    "PermanentRedirect": (StorageConfigError, _REGION),
    "TemporaryRedirect": (StorageConfigError, _REGION),
    "IllegalLocationConstraintException": (StorageConfigError, _REGION),
    "NotImplemented": (
        StorageConfigError,
        "the server does not support conditional writes or another part of the request",
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
        "the upload was aborted by a lifecycle rule or another client: put the blob again",
    ),
}

NOT_IMPLEMENTED = frozenset(("NotImplemented", "MethodNotAllowed", "NotSupported"))
"""Codes of an operation that the server does not have."""

_ABOUT_THE_BLOB = frozenset(
    ("EntityTooLarge", "EntityTooSmall", "InvalidPart", "InvalidPartOrder", "KeyTooLongError")
)

_NO_SUCH_DIGEST = frozenset(("InvalidDigest", "SignatureDoesNotMatch", "XAmzContentSHA256Mismatch"))

_STATUS_IN_BATCH = {"AccessDenied": 403, "InternalError": 500, "ServiceUnavailable": 503}

_PERMISSION = {
    "put": "s3:PutObject",  # covers multipart uploads too
    "get": "s3:GetObject",
    "stat": "s3:GetObject",
    "renew": "s3:GetObject and s3:PutObject",
    "delete": "s3:DeleteObject",
    "list": "s3:ListBucket",
    "read lifecycle": "s3:GetLifecycleConfiguration",
    "write lifecycle": "s3:PutLifecycleConfiguration",
}


def translate_error(error: Exception, target: Target) -> MistralOffloadError | None:
    """Return the error of this package for an exception of boto3, or None for any other."""
    from botocore.exceptions import BotoCoreError, ClientError
    from botocore.parsers import ResponseParserError

    from mistral_offload.storage._s3_credentials import as_service_error

    kind: type[StorageError | StorageConfigError]
    if (service_error := as_service_error(error, target.profile)) is not None:
        kind = StorageUnavailableError if service_error.is_transient else StorageAccessDeniedError
        text = f"{service_error} ({target.operation})"
    elif isinstance(error, NotS3Error):
        kind, text = StorageConfigError, f"{_NOT_S3} ({target.operation}: {error})"
    elif isinstance(error, IncompleteResponseError):
        kind = StorageError
        text = f"the response of {target.server} is incomplete: {error} ({target.operation})"
    elif isinstance(error, ResponseParserError):
        kind = StorageUnavailableError
        text = (
            f"a response of {target.server}, or of a service that gives credentials, is cut or "
            f"not XML ({target.operation})"
        )
    elif isinstance(error, ClientError) and _is_error_page(error):
        kind = StorageConfigError
        status = http_status(error)
        text = f"{_NOT_S3} ({target.operation}: it sent a web page, HTTP {status})"
    elif isinstance(error, ClientError):
        code = _TOO_SKEWED if _is_clock_skewed(error) else error_code(error)
        kind, text = _classify_response(code, http_status(error), target)
        text = f"{text} ({target.operation}: {error_code(error)}, HTTP {http_status(error)})"
    elif isinstance(error, BotoCoreError):
        kind, text = _classify_exception(error, target)
        text = f"{text} ({target.operation}: {type(error).__name__})"
    else:
        return None
    if issubclass(kind, StorageConfigError):
        return kind(f"{text} (s3 bucket {target.bucket!r}, {target.server})")
    return kind(text, provider="s3", container=target.bucket, key=target.key)


def translate_code(code: str, target: Target) -> StorageError:
    """Return the error for one key of a batch that was refused; a batch gives only its code."""
    kind, text = _classify_response(code, _STATUS_IN_BATCH.get(code, 400), target)
    if issubclass(kind, StorageConfigError):
        kind = StorageError
    text = f"{text} ({target.operation}: {code})"
    return kind(text, provider="s3", container=target.bucket, key=target.key)


def error_code(error: Exception) -> str:
    """Return the code of an S3 error response; without a body, that is the status."""
    response = getattr(error, "response", {})
    return str(response.get("Error", {}).get("Code", ""))


def http_status(error: Exception) -> int:
    """Return the HTTP status of an error response."""
    response = getattr(error, "response", {})
    return int(response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0))


def may_refuse_headers(error: Exception) -> bool:
    """Return True for a refusal that may be about a header that the server does not know.

    Servers use many codes for it; so every code counts that does not mean something else.
    """
    from mistral_offload.storage._s3_credentials import is_of_credential_service

    refuses = http_status(error) in (400, 405, 415, 417, 422, 501) and not _has_meaning(error)
    return refuses and not is_of_credential_service(error)


def may_refuse_unsigned(error: Exception) -> bool:
    """Return True for a refusal that may be about bytes that are not signed, or about a CRC32.

    A bucket's policy forbids the former with AccessDenied. Servers that do not know it look for
    another digest or signature.
    """
    from mistral_offload.storage._s3_credentials import is_of_credential_service

    if error_code(error) in _NO_SUCH_DIGEST:
        return True
    is_forbidden = http_status(error) == 403 and not _has_meaning(error)
    return (is_forbidden and not is_of_credential_service(error)) or may_refuse_headers(error)


def may_lack_operation(error: Exception) -> bool:
    """Return True for a refusal that may be about an operation that the server does not have."""
    unknown = http_status(error) in (400, 404, 405, 411, 415, 422, 501)
    return unknown and (error_code(error) == "NoSuchKey" or not _has_meaning(error))


def _has_meaning(error: Exception) -> bool:
    code = error_code(error)
    return code not in NOT_IMPLEMENTED and (code in _BY_CODE or code in _ABOUT_THE_BLOB)


def _classify_response(
    code: str, status: int, target: Target
) -> tuple[type[StorageError | StorageConfigError], str]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status in (401, 403):
        return StorageAccessDeniedError, _permission_message(target.operation)
    if status == 404:
        reads = target.operation in ("get", "stat", "renew")
        return (BlobNotFoundError, NOT_FOUND) if reads else (ContainerNotFoundError, _NO_BUCKET)
    if status in (301, 302, 307, 308):
        return StorageConfigError, _REGION
    if status == 501:
        return _BY_CODE["NotImplemented"]
    if status in (408, 409, 429) or status >= 500:
        return StorageUnavailableError, f"{_BUSY}; server: {target.server}"
    return StorageError, "the server refused the request"


def _is_error_page(error: Exception) -> bool:
    """Return True if a refusal is a web page, and not a document of S3."""
    response = getattr(error, "response", {})
    metadata = response.get("ResponseMetadata", {})
    headers = {name.title(): value for name, value in metadata.get("HTTPHeaders", {}).items()}
    is_client_error = 400 <= http_status(error) < 500 and http_status(error) not in (408, 429)
    # A missing blob has a plain 404, and some servers describe an empty body as a page.
    is_head = getattr(error, "operation_name", "") == "HeadObject" and http_status(error) != 401
    has_code = error_code(error) not in ("", str(http_status(error)))
    return is_client_error and not is_head and not has_code and is_page(headers)


def _is_clock_skewed(error: Exception) -> bool:
    """Return True if a wrong clock explains a 403 without a code, as a HEAD request gets it."""
    if http_status(error) != 403 or error_code(error) not in ("", "403"):
        return False
    response = getattr(error, "response", {})
    headers = response.get("ResponseMetadata", {}).get("HTTPHeaders", {})
    skew = clock_skew_seconds(headers.get("date"))
    return skew is not None and skew > _MAX_SKEW_SECONDS


def _permission_message(operation: str) -> str:
    text = f"the credentials do not allow this: they need {_PERMISSION[operation]}"
    if operation in ("get", "stat"):
        text += "; without s3:ListBucket, S3 responds the same if the key does not exist"
    return text


def _classify_exception(
    error: Exception, target: Target
) -> tuple[type[StorageError | StorageConfigError], str]:
    from botocore import exceptions

    if isinstance(error, (exceptions.NoCredentialsError, exceptions.PartialCredentialsError)):
        return StorageAccessDeniedError, (
            "no credentials were found: set aws_access_key_id and aws_secret_access_key, or give "
            "the AWS default chain an environment, a profile or a role"
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
    if isinstance(error, exceptions.SSLError) and _is_untrusted_certificate(error):
        return StorageConfigError, (
            "the server's certificate is not trusted: set ca_bundle to the file with the "
            "certificate of its authority"
        )
    if isinstance(error, exceptions.HTTPClientError) and isinstance(
        error.kwargs.get("error"), ValueError
    ):
        # Never sent: http.client refused a header, most likely one built from a credential.
        return StorageConfigError, (
            "the request cannot be sent: check the credentials for line breaks"
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
            f"no response from {target.server}: check the network, endpoint_url and any proxy"
        )
    return StorageConfigError, "boto3 rejects these settings"


def _is_untrusted_certificate(error: Exception) -> bool:
    link: BaseException | None = error
    while link is not None:
        if isinstance(link, ssl.SSLCertVerificationError):
            return True
        link = link.__cause__ or link.__context__
    return False
