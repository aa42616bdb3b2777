"""Translates errors of Azure and its SDK into ours, by code, status and class only."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from mistral_offload.errors import (
    BlobNotFoundError,
    ContainerNotFoundError,
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.storage._http_errors import is_untrusted_certificate, quoted
from mistral_offload.storage.credential_requests import pending_error
from mistral_offload.storage.response_form import malformed_error

if TYPE_CHECKING:
    from azure.core.exceptions import HttpResponseError


class Target(NamedTuple):
    """The operation, container and key of a failed request."""

    operation: str
    container: str
    key: str | None
    server: str
    """The account's address, as text for an error message."""
    by_connection_string: bool
    secrets: Collection[str] = ()
    """Texts that no error may quote."""


ErrorKind = type[StorageError | StorageConfigError]

BLOB_EXISTS = frozenset(("BlobAlreadyExists", "ConditionNotMet", "TargetConditionNotMet"))
"""Codes for a create that found a blob. Other 409s and 412s are about leases, tiers or holds."""

_PROTECTED = frozenset(
    (
        "BlobArchived",
        "BlobBeingRehydrated",
        "BlobImmutableDueToLegalHold",
        "BlobImmutableDueToPolicy",
        "LeaseIdMissing",
        "SnapshotsPresent",
    )
)

MAY_HIDE_A_BLOB = _PROTECTED | {
    "AuthorizationPermissionMismatch",
    "InvalidBlockList",
    "UnauthorizedBlobOverwrite",
}
"""Codes for a create that may have found a blob, or failed for another reason."""

BLOCKS_ARE_GONE = "InvalidBlockList"
"""Code for blocks that were discarded because another writer has committed its own."""

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
_LEASED = "a lease or a snapshot protects the blob: end the lease, or delete the snapshot"
_IMMUTABLE = (
    "an immutability policy protects the blob until its retention ends: it cannot be replaced or "
    "deleted before"
)
_LEGAL_HOLD = "a legal hold protects the blob: it cannot be replaced or deleted until it is removed"
_NO_OVERWRITE = (
    "the signature does not allow to replace a blob: it has create ('c') without write ('w')"
)
_CUSTOMER_KEY = (
    "the blob is encrypted with a key that a client supplies with each request, and this package "
    "has none: rewrite the blob without one, or set the encryption scope of the container"
)
_VAULT = (
    "the storage account's key in Azure Key Vault cannot be used: it must exist and be enabled, "
    "and the account's identity needs access to it"
)
_CHANGED_BLOCKS = (
    "other writers of the same blob committed their blocks before this one, each time: write it "
    "again"
)

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
    "LeaseIdMissing": (StorageError, _LEASED),
    "SnapshotsPresent": (StorageError, _LEASED),
    "BlobImmutableDueToPolicy": (StorageError, _IMMUTABLE),
    "ContainerImmutabilityPolicyLocked": (StorageError, _IMMUTABLE),
    "BlobImmutableDueToLegalHold": (StorageError, _LEGAL_HOLD),
    "ContainerHasLegalHold": (StorageError, _LEGAL_HOLD),
    "UnauthorizedBlobOverwrite": (StorageAccessDeniedError, _NO_OVERWRITE),
    "BlobUsesCustomerSpecifiedEncryption": (StorageError, _CUSTOMER_KEY),
    "BlobCustomerSpecifiedEncryptionMismatch": (StorageError, _CUSTOMER_KEY),
    "BlobDoesNotUseCustomerSpecifiedEncryption": (StorageError, _CUSTOMER_KEY),
    "EncryptionScopeNotFound": (StorageConfigError, _VAULT),
    "EncryptionScopeDisabled": (StorageConfigError, _VAULT),
    "KeyVaultEncryptionKeyNotFound": (StorageConfigError, _VAULT),
    "KeyVaultAccessTokenCannotBeAcquired": (StorageConfigError, _VAULT),
    "KeyVaultVaultNotFound": (StorageConfigError, _VAULT),
    "InvalidBlockList": (StorageUnavailableError, _CHANGED_BLOCKS),
    "ServerBusy": (StorageUnavailableError, _BUSY),
    "InternalError": (StorageUnavailableError, _BUSY),
    "OperationTimedOut": (StorageUnavailableError, _BUSY),
    "ConditionNotMet": (StorageUnavailableError, "the blob was replaced while it was being read"),
}


def translate_error(error: Exception, target: Target) -> MistralOffloadError | None:
    """Return the error of this package for an exception of Azure's SDK, or None for any other."""
    from azure.core.exceptions import AzureError, HttpResponseError

    place: Any = {"provider": "azure", "container": target.container, "key": target.key}
    known = malformed_error(error, target.server, **place) or pending_error(
        error,
        "none of the sources of DefaultAzureCredential has responded. If none is meant to, set "
        "azure_connection_string, or limit them by AZURE_TOKEN_CREDENTIALS",
        **place,
    )
    if known is not None:
        return known
    if not isinstance(error, AzureError):
        return None
    if isinstance(error, HttpResponseError) and error.status_code is not None:
        code, status = error_code(error), error.status_code
        kind, text = _classify_response(code, status, target)
        said = quoted(_server_sentence(error), target.secrets) if code else ""
        text = f"{text} ({target.operation}: {code or 'no code'}, HTTP {status}{said})"
    else:
        kind, text = _classify_exception(error, target)
        text = f"{text} ({target.operation}: {type(error).__name__})"
    if issubclass(kind, StorageConfigError):
        return kind(f"{text} (azure container {target.container!r}, {target.server})")
    return kind(text, **place)


def _server_sentence(error: HttpResponseError) -> str:
    """Return the message of an error response; its first line is the server's sentence.

    Without a body, the SDK puts the reason phrase or its own sentence there, which say nothing.
    """
    message = error.message.partition("\nRequestId:")[0].partition("\nErrorCode:")[0]
    own = message == error.reason or message.startswith("Operation returned an invalid status")
    return "" if own or message == "None" else message


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
