"""Every error this package raises, named for the condition, not for the place.

::

    MistralOffloadError
    ├── ConfigurationError                 a setting is missing, wrong or contradicts another
    │   ├── StorageConfigError             … in the storage block
    │   │   └── StorageCheckError          a worker cannot reach its stores when it starts
    │   ├── MissingExtraError              an optional dependency is not installed
    │   └── ServiceAccountTokenError       the token file cannot be read or is empty
    ├── PayloadError                       a value cannot travel
    │   ├── PayloadTooLargeError           over the platform's limit, and nothing offloads it
    │   ├── PayloadSerializationError      the value has no JSON form
    │   ├── PayloadEncryptionError         the value cannot be encrypted as it is marked
    │   ├── PayloadDecodeError             the bytes are not what their options say
    │   │   ├── PayloadDecryptionError     no configured key opens it, or it was changed
    │   │   └── PayloadDecompressionError  it is not what was compressed, or unpacks to too much
    │   ├── EncryptionNotConfiguredError   it is encrypted, but no keys are configured
    │   ├── OffloadingNotConfiguredError   a reference arrived, but no storage is configured
    │   ├── ReferenceRefusedError          a reference names a key it may not name
    │   └── OffloadableFieldError          an activity field has no value that could be read here
    │       └── OffloadedValueInWorkflowError   … because this is workflow code
    ├── StorageError                       the object store; carries provider, container and key
    │   ├── BlobNotFoundError              nothing is stored under the key
    │   ├── BlobCorruptedError             the bytes do not hash to what the key says
    │   ├── StorageAccessDeniedError       credentials are missing, wrong, expired or too weak
    │   ├── ContainerNotFoundError         the bucket, container or directory does not exist
    │   ├── StorageUnavailableError        no answer, or only transient failures, within the time
    │   ├── LifecycleUnsupportedError      expiry rules cannot be read or set at this provider
    │   ├── LifecycleChangedError          somebody else changed the expiry rules meanwhile
    │   └── StoreClosedError               used after close, or in a forked child process
    ├── APIConnectionError                 the platform gave no answer
    │   ├── APITimeoutError                … within the time
    │   └── StreamDisconnectedError        it ended a stream with an error
    ├── APIError                           it answered with an error: status_code, body, headers
    │   ├── BadRequestError (400)          ├── ConflictError (409)
    │   ├── AuthenticationError (401)      ├── ValidationError (422)
    │   ├── PermissionDeniedError (403)    ├── RateLimitError (429)
    │   ├── NotFoundError (404)            └── ServerError (5xx)
    │   └── ResponseValidationError        it answered, but not with what was promised
    └── WorkflowError                      the execution itself; carries execution_id and status
        ├── ExecutionNotFoundError         Temporal does not know it
        ├── WorkflowFailedError            it ended without a result
        └── WorkflowTimeoutError           it did not end within the time given
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any, cast

__all__ = [
    "APIConnectionError",
    "APIError",
    "APITimeoutError",
    "AuthenticationError",
    "BadRequestError",
    "BlobCorruptedError",
    "BlobNotFoundError",
    "ConfigurationError",
    "ConflictError",
    "ContainerNotFoundError",
    "EncryptionNotConfiguredError",
    "ExecutionNotFoundError",
    "LifecycleChangedError",
    "LifecycleUnsupportedError",
    "MissingExtraError",
    "MistralOffloadError",
    "NotFoundError",
    "OffloadableFieldError",
    "OffloadedValueInWorkflowError",
    "OffloadingNotConfiguredError",
    "PayloadDecodeError",
    "PayloadDecompressionError",
    "PayloadDecryptionError",
    "PayloadEncryptionError",
    "PayloadError",
    "PayloadSerializationError",
    "PayloadTooLargeError",
    "PermissionDeniedError",
    "RateLimitError",
    "ReferenceRefusedError",
    "ResponseValidationError",
    "ServerError",
    "ServiceAccountTokenError",
    "StorageAccessDeniedError",
    "StorageCheckError",
    "StorageConfigError",
    "StorageError",
    "StorageUnavailableError",
    "StoreClosedError",
    "StreamDisconnectedError",
    "ValidationError",
    "WorkflowError",
    "WorkflowFailedError",
    "WorkflowTimeoutError",
]

_SHOWN_BODY_CHARACTERS = 500


class MistralOffloadError(Exception):
    """Base of every error this package raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # Left alone, pickle calls the class with the message only, which few of them take.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(
    kind: type[MistralOffloadError], args: tuple[Any, ...], members: dict[str, Any]
) -> MistralOffloadError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(members)
    return error


class ConfigurationError(MistralOffloadError, ValueError):
    """A setting is missing, wrong or contradicts another."""


class StorageConfigError(ConfigurationError):
    """The storage block cannot be used as it is."""


class StorageCheckError(StorageConfigError):
    """A worker cannot reach the stores it is configured for, and so does not start."""


class MissingExtraError(ConfigurationError, ImportError):
    """An optional dependency is not installed."""

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(
            f"{purpose} needs packages that are not installed: "
            f'run  pip install "mistral-offload[{extra}]"'
        )
        self.extra = extra


class ServiceAccountTokenError(ConfigurationError):
    """The file named by MISTRAL_SA_TOKEN_PATH cannot be read or is empty."""


class PayloadError(MistralOffloadError):
    """A value cannot travel as it is."""


class PayloadTooLargeError(PayloadError):
    """A value is over the platform's limit and nothing offloads it.

    Attributes:
        size: the value as it would travel, in bytes: JSON, or what was made of it.
        limit: the largest value that can be delivered, in bytes.
    """

    def __init__(self, what: str, *, size: int, limit: int, remedy: str) -> None:
        super().__init__(
            f"{what} is {size:,} bytes, over the platform's limit of {limit:,} bytes. {remedy}"
        )
        self.size = size
        self.limit = limit


class PayloadSerializationError(PayloadError, TypeError):
    """A value has no JSON form."""


class PayloadEncryptionError(PayloadError, ValueError):
    """A value cannot be encrypted as it is, so it must not travel."""


class PayloadDecodeError(PayloadError, ValueError):
    """The bytes of a payload are not what its encoding options say."""


class PayloadDecryptionError(PayloadDecodeError):
    """No configured key opens an encrypted payload, or it was changed after it was encrypted."""


class PayloadDecompressionError(PayloadDecodeError):
    """A compressed payload is not what was compressed, or unpacks to more than is allowed."""


class EncryptionNotConfiguredError(PayloadError):
    """An encrypted payload arrived, but no keys are configured here."""


class OffloadingNotConfiguredError(PayloadError):
    """A reference to an offloaded payload arrived, but no storage is configured here."""


class ReferenceRefusedError(PayloadError):
    """A reference names a key that this configuration may not read.

    Attributes:
        key: the key as it was named.
    """

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class OffloadableFieldError(PayloadError):
    """An activity field has no value that could be read here.

    Attributes:
        field: the field's name in its model, or None when it never was in one.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class OffloadedValueInWorkflowError(OffloadableFieldError):
    """The value of an activity field was asked for in workflow code, where it may not be."""


class StorageError(MistralOffloadError):
    """An operation on the object store failed.

    Attributes:
        provider: ``s3``, ``azure``, ``gcs``, ``local`` or ``memory``.
        container: bucket, container or directory.
        key: the key inside it, prefix included, or None where no single key is meant.
    """

    def __init__(self, message: str, *, provider: str, container: str, key: str | None) -> None:
        place = f"{provider} {container!r}" + (f", key {key!r}" if key is not None else "")
        super().__init__(f"{message} ({place})")
        self.provider = provider
        self.container = container
        self.key = key


class BlobNotFoundError(StorageError):
    """Nothing is stored under the key."""


class BlobCorruptedError(StorageError):
    """The stored bytes do not hash to what their content-addressed key says."""


class StorageAccessDeniedError(StorageError):
    """The store refused the credentials, or they do not allow this operation."""


class ContainerNotFoundError(StorageError):
    """The bucket, container or directory does not exist."""


class StorageUnavailableError(StorageError):
    """The store gave no answer, or only transient failures, within the time allowed.

    Attributes:
        retry_after: for how many seconds the server asked not to be asked again, or None.
    """

    retry_after: float | None = None


class LifecycleUnsupportedError(StorageError):
    """The provider has no expiry rules, or none that can be read or set from here."""


class LifecycleChangedError(StorageError):
    """The bucket's expiry rules are not those that were planned with, or not those written."""


class StoreClosedError(StorageError):
    """The store was used after it was closed, or in a process forked from its owner."""


class APIConnectionError(MistralOffloadError):
    """The platform gave no answer: the connection failed or broke."""


class APITimeoutError(APIConnectionError, TimeoutError):
    """The platform gave no answer within the request's timeout."""


class StreamDisconnectedError(APIConnectionError):
    """The platform ended a stream with an error; a stream opened with ``reconnect`` goes on.

    Attributes:
        reason: ``read_error``, ``stream_error`` or ``internal_error``.
        error: the platform's own words.
    """

    def __init__(self, *, reason: str, error: str) -> None:
        super().__init__(
            f"the platform ended the stream ({reason}): {error or 'it gave no reason'}"
        )
        self.reason = reason
        self.error = error


class APIError(MistralOffloadError):
    """The platform answered with an error.

    Attributes:
        status_code: HTTP status.
        body: response text, whole.
        headers: response headers, lower-case names.
    """

    def __init__(
        self, message: str, *, status_code: int, body: str, headers: Mapping[str, str]
    ) -> None:
        shown = body if len(body) <= _SHOWN_BODY_CHARACTERS else body[:_SHOWN_BODY_CHARACTERS] + "…"
        super().__init__(f"{message}: HTTP {status_code}" + (f": {shown}" if shown else ""))
        self.status_code = status_code
        self.body = body
        self.headers = dict(headers)


class BadRequestError(APIError):
    """400: the platform could not act on the request."""


class AuthenticationError(APIError):
    """401: no API key was sent, or it is not valid."""


class PermissionDeniedError(APIError):
    """403: the API key does not allow this operation."""


class NotFoundError(APIError):
    """404: no such workflow, execution or route."""


class ConflictError(APIError):
    """409: it exists already, or is in a state that forbids the operation."""


class ValidationError(APIError):
    """422: the platform refused the request's parameters; ``detail`` says which."""

    @property
    def detail(self) -> list[dict[str, Any]]:
        """What is wrong, one entry each: ``loc``, where; ``msg``; ``type``.

        Empty when the platform said it in another form; ``body`` has it then.
        """
        try:
            body: object = json.loads(self.body)
        except (ValueError, RecursionError):
            return []
        entries = cast("dict[str, object]", body).get("detail") if isinstance(body, dict) else None
        if not isinstance(entries, list):
            return []
        return [
            cast("dict[str, Any]", entry)
            for entry in cast("list[object]", entries)
            if isinstance(entry, dict)
        ]


class RateLimitError(APIError):
    """429: too many requests, also after the retries."""


class ServerError(APIError):
    """5xx: the platform failed, also after the retries."""


class ResponseValidationError(APIError):
    """The platform answered with success, but not with what was promised."""


class WorkflowError(MistralOffloadError):
    """An execution did not give the result that was waited for.

    Attributes:
        execution_id: the execution.
        status: its last known status, as the platform spells it.
    """

    def __init__(self, message: str, *, execution_id: str, status: str | None) -> None:
        super().__init__(message)
        self.execution_id = execution_id
        self.status = status


class ExecutionNotFoundError(WorkflowError):
    """Temporal does not know the execution: a wrong id or namespace, or it has forgotten it."""


class WorkflowFailedError(WorkflowError):
    """The execution ended without a result: failed, canceled, terminated or timed out.

    Attributes:
        reason: the platform's own words, or None when it gave none.
    """

    def __init__(self, *, execution_id: str, status: str | None, reason: str | None) -> None:
        said = reason or "the platform gave no reason"
        super().__init__(
            f"execution {execution_id!r} ended with status {status}: {said}",
            execution_id=execution_id,
            status=status,
        )
        self.reason = reason


class WorkflowTimeoutError(WorkflowError, TimeoutError):
    """The execution did not end within the time given; it may still be running."""
