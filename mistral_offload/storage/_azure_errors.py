"""Translates errors of Azure and its SDK into ours, by code, status and class only."""

from __future__ import annotations

from typing import NamedTuple

from mistral_offload.errors import (
    BlobNotFoundError,
    ContainerNotFoundError,
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.storage._http_errors import is_untrusted_certificate


class Target(NamedTuple):
    """The operation, container and key of a failed request."""

    operation: str
    container: str
    key: str | None
    server: str
    """The account's address, as text for an error message."""
    by_connection_string: bool


ErrorKind = type[StorageError | StorageConfigError]

BLOB_EXISTS = frozenset(("BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet"))
"""Codes for a create that found a blob. Other 409s and 412s are about leases, tiers or holds."""

_NOT_FOUND = (
    "nothing is stored under this key: it was never written, was deleted, or expired by a "
    "lifecycle rule; reader and writer need the same container and prefix"
)
_NO_CONTAINER = (
    "the container does not exist: create it, or fix container_name or the storage account"
)
_INVALID = (
    "the credentials are not valid: check the key or signature in azure_connection_string, or the "
    "identity, and this machine's clock"
)
_ROLE = (
    "the credentials do not allow this: they need the role 'Storage Blob Data Contributor' on the "
    "container, or a signature with read, create, write, delete and list"
)
_NETWORK = "the storage account does not allow this network, protocol or kind of credential"
_BUSY = "the server cannot handle the request now: retry later"
_NAME = "Azure does not allow container_name, prefix or key as they are"
_ARCHIVED = "the blob is archived: rehydrate it before using it"
_HELD = "a lease, a snapshot or an immutability policy of the container protects the blob"

_BY_CODE: dict[str, tuple[ErrorKind, str]] = {
    "BlobNotFound": (BlobNotFoundError, _NOT_FOUND),
    "ResourceNotFound": (BlobNotFoundError, _NOT_FOUND),
    "ContainerNotFound": (ContainerNotFoundError, _NO_CONTAINER),
    "ContainerBeingDeleted": (ContainerNotFoundError, _NO_CONTAINER),
    "ContainerDisabled": (ContainerNotFoundError, _NO_CONTAINER),
    "AuthenticationFailed": (StorageAccessDeniedError, _INVALID),
    "InvalidAuthenticationInfo": (StorageAccessDeniedError, _INVALID),
    "NoAuthenticationInformation": (StorageAccessDeniedError, _INVALID),
    "AuthorizationPermissionMismatch": (StorageAccessDeniedError, _ROLE),
    "AuthorizationResourceTypeMismatch": (StorageAccessDeniedError, _ROLE),
    "AuthorizationServiceMismatch": (StorageAccessDeniedError, _ROLE),
    "InsufficientAccountPermissions": (StorageAccessDeniedError, _ROLE),
    "AuthorizationSourceIPMismatch": (StorageAccessDeniedError, _NETWORK),
    "AuthorizationProtocolMismatch": (StorageAccessDeniedError, _NETWORK),
    "KeyBasedAuthenticationNotPermitted": (StorageAccessDeniedError, _NETWORK),
    "PublicAccessNotPermitted": (StorageAccessDeniedError, _NETWORK),
    "AccountIsDisabled": (StorageAccessDeniedError, _NETWORK),
    # Sent by the account's firewall, and by some servers for a wrong signature.
    "AuthorizationFailure": (StorageAccessDeniedError, f"{_INVALID}; or {_NETWORK}"),
    "InvalidResourceName": (StorageConfigError, _NAME),
    "InvalidUri": (StorageConfigError, _NAME),
    "OutOfRangeInput": (StorageConfigError, _NAME),
    "BlobArchived": (StorageError, _ARCHIVED),
    "BlobBeingRehydrated": (StorageError, _ARCHIVED),
    "LeaseIdMissing": (StorageError, _HELD),
    "SnapshotsPresent": (StorageError, _HELD),
    "BlobImmutableDueToPolicy": (StorageError, _HELD),
    "ServerBusy": (StorageUnavailableError, _BUSY),
    "InternalError": (StorageUnavailableError, _BUSY),
    "OperationTimedOut": (StorageUnavailableError, _BUSY),
    "ConditionNotMet": (StorageUnavailableError, "the blob was replaced while it was being read"),
}


def translate_error(error: Exception, target: Target) -> MistralOffloadError | None:
    """Return the error of this package for an exception of Azure's SDK, or None for any other."""
    from azure.core.exceptions import AzureError, HttpResponseError

    if not isinstance(error, AzureError):
        return None
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        code, status = error_code(error), error.status_code
        kind, text = _classify_response(code, status, target)
        text = f"{text} ({target.operation}: {code or 'no code'}, HTTP {status})"
    else:
        kind, text = _classify_exception(error, target)
        text = f"{text} ({target.operation}: {type(error).__name__})"
    if issubclass(kind, StorageConfigError):
        return kind(f"{text} (azure container {target.container!r}, {target.server})")
    return kind(text, provider="azure", container=target.container, key=target.key)


def error_code(error: Exception) -> str:
    """Return the code of an error response, or the empty string."""
    code = getattr(error, "error_code", None)
    return str(getattr(code, "value", code) or "")


def _classify_response(code: str, status: int, target: Target) -> tuple[ErrorKind, str]:
    if code in _BY_CODE:
        return _BY_CODE[code]
    if status in (401, 403):
        return StorageAccessDeniedError, _ROLE
    if status == 404:
        reads = target.operation in ("get", "stat", "renew")
        return (BlobNotFoundError, _NOT_FOUND) if reads else (ContainerNotFoundError, _NO_CONTAINER)
    if status in (408, 429) or status >= 500:
        return StorageUnavailableError, f"{_BUSY}; server: {target.server}"
    return StorageError, "the server refused the request"


def _classify_exception(error: Exception, target: Target) -> tuple[ErrorKind, str]:
    from azure.core.exceptions import ClientAuthenticationError

    from mistral_offload.storage._azure_credentials import CredentialServiceError

    if isinstance(error, CredentialServiceError):
        kind = StorageUnavailableError if error.is_transient else StorageAccessDeniedError
        return kind, error.message
    if isinstance(error, ClientAuthenticationError):
        if target.by_connection_string:
            return StorageConfigError, "AccountKey in azure_connection_string is not an account key"
        return StorageAccessDeniedError, (
            "no credentials were found, or they were refused: set azure_connection_string, or give "
            "DefaultAzureCredential an environment, workload, managed or developer identity"
        )
    if is_untrusted_certificate(error):
        return StorageConfigError, (
            "the server's certificate is not trusted: set REQUESTS_CA_BUNDLE to the file with the "
            "certificate of its authority"
        )
    return StorageUnavailableError, (
        f"no response, or an incomplete one, from {target.server}: check the network, the name of "
        "the account and any proxy"
    )
