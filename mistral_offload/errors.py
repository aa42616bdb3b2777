"""Every error this package raises, as one tree.

Catch `MistralOffloadError` for anything that goes wrong here, one of the classes directly below it
for an area, and the narrow classes to recover from a particular condition::

    MistralOffloadError
    ├── ConfigurationError                 a setting is missing, invalid or contradicts another
    │   ├── StorageConfigError             … in the storage settings
    │   │   └── StorageCheckError          a starting worker cannot use its configured stores
    │   ├── EventLoopError                 an async method without a running asyncio event loop
    │   ├── MissingExtraError              an optional dependency is not installed
    │   └── ServiceAccountTokenError       the token file is unreadable, empty or not a token
    ├── PayloadError                       a value cannot be encoded, sent or decoded
    │   ├── PayloadTooLargeError           over the platform's limit, and nothing offloads it
    │   ├── PayloadSerializationError      the value cannot be written as JSON
    │   ├── KeyTooLongError                the execution id or prefix is too long for the store
    │   ├── PayloadEncryptionError         the value cannot be encrypted the way it is marked
    │   ├── PayloadDecodeError             the bytes do not match their encoding options
    │   │   ├── PayloadDecryptionError     no configured key fits, or the bytes were modified
    │   │   └── PayloadDecompressionError  corrupt, or larger than allowed once decompressed
    │   ├── EncryptionNotConfiguredError   the payload is encrypted, but no keys are configured
    │   ├── OffloadingNotConfiguredError   the payload is a reference, but no store is configured
    │   ├── ReferenceRefusedError          the reference names a key that may or can not be read
    │   └── OffloadableFieldError          an activity field has no readable value here
    │       └── OffloadedValueInWorkflowError   … because this is workflow code
    ├── FileError                          an offloadable file, or the local file beside it
    │   ├── FileTooLargeError              more than a file, or a stream, may have
    │   ├── FileChangedError               the local file changed while it was read
    │   └── LocalFileError                 the local file cannot be read or written
    ├── StorageError                       the object store; has provider, container and key
    │   ├── BlobNotFoundError              nothing is stored under the key
    │   ├── BlobCorruptedError             the bytes do not match the hash in their key
    │   ├── StorageAccessDeniedError       credentials missing, invalid, expired or insufficient
    │   ├── ContainerNotFoundError         the bucket, container or directory does not exist
    │   ├── StorageUnavailableError        no response, or only transient failures, in time
    │   ├── LifecycleUnsupportedError      the provider's expiry rules cannot be read or set
    │   ├── LifecycleChangedError          the expiry rules were changed concurrently
    │   └── StoreClosedError               used after close, or in a forked child process
    ├── APIConnectionError                 the platform sent no response
    │   ├── APITimeoutError                … within the request timeout
    │   └── StreamDisconnectedError        the platform ended a stream with an error
    ├── APIError                           an error response; has status_code, body and headers
    │   ├── BadRequestError (400)          ├── ConflictError (409)
    │   ├── AuthenticationError (401)      ├── ValidationError (422)
    │   ├── PermissionDeniedError (403)    ├── RateLimitError (429)
    │   ├── NotFoundError (404)            └── ServerError (5xx)
    │   ├── ResponseValidationError        a success response with an unexpected body
    │   └── ResponseTooLargeError          a body, or one event, over the client's limit
    └── WorkflowError                      an execution; has execution_id and status
        ├── ExecutionNotFoundError         Temporal has no such execution
        ├── WorkflowFailedError            the execution ended without a result
        ├── WorkflowResultError            its result does not fit the ``result_type`` of the call
        └── WorkflowTimeoutError           the execution did not end in the time allowed
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
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
    "EventLoopError",
    "ExecutionNotFoundError",
    "FileChangedError",
    "FileError",
    "FileTooLargeError",
    "KeyTooLongError",
    "LifecycleChangedError",
    "LifecycleUnsupportedError",
    "LocalFileError",
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
    "ResponseTooLargeError",
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
    "WorkflowResultError",
    "WorkflowTimeoutError",
]

_SHOWN_BODY_CHARACTERS = 500


class MistralOffloadError(Exception):
    """Base of every error this package raises."""

    def __reduce__(self) -> tuple[Any, ...]:
        # By default pickle calls the class with the message alone; most constructors need more.
        return _restore, (type(self), self.args, self.__dict__)


def _restore(
    kind: type[MistralOffloadError], args: tuple[Any, ...], members: dict[str, Any]
) -> MistralOffloadError:
    error = kind.__new__(kind)
    error.args = args
    error.__dict__.update(members)
    return error


class ConfigurationError(MistralOffloadError, ValueError):
    """A setting is missing, invalid or contradicts another."""


class StorageConfigError(ConfigurationError):
    """The storage settings are incomplete, invalid or contradictory."""


class StorageCheckError(StorageConfigError):
    """A worker did not start because it cannot use the stores it is configured for."""


class EventLoopError(ConfigurationError, RuntimeError):
    """An async method was called where no asyncio event loop runs, for example under trio."""


class MissingExtraError(ConfigurationError, ImportError):
    """An optional dependency is not installed; the message has the command that installs it.

    Attributes:
        extra: name of the missing extra, as in ``mistral-offload[extra]``.
    """

    def __init__(self, purpose: str, extra: str) -> None:
        super().__init__(
            f"{purpose} needs packages that are not installed: "
            f'run  pip install "mistral-offload[{extra}]"'
        )
        self.extra = extra


class ServiceAccountTokenError(ConfigurationError):
    """The token file that ``MISTRAL_SA_TOKEN_PATH`` points to cannot be read, or holds no token."""


class PayloadError(MistralOffloadError):
    """A value cannot be encoded, sent or decoded."""


class PayloadTooLargeError(PayloadError):
    """A value is larger than the platform accepts, and nothing offloads it.

    Attributes:
        size: bytes of the value as it would be sent (JSON, compressed and encrypted as configured).
        limit: bytes of the largest value the platform delivers.
    """

    def __init__(self, what: str, *, size: int, limit: int, remedy: str) -> None:
        super().__init__(
            f"{what} is {size:,} bytes, over the platform's limit of {limit:,} bytes. {remedy}"
        )
        self.size = size
        self.limit = limit


class PayloadSerializationError(PayloadError, TypeError):
    """A value cannot be written as JSON.

    Attributes:
        path: names of the members, and positions in lists, on the way to what cannot be written;
            empty if it is the value itself, or if it is not known.
    """

    def __init__(self, message: str, *, path: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.path = tuple(path)


class KeyTooLongError(PayloadError, ValueError):
    """A value cannot be stored: its key, made of names and ids, is longer than the store allows.

    Attributes:
        size: length of the key.
        limit: length of the longest key that the store accepts.
    """

    def __init__(self, message: str, *, size: int, limit: int) -> None:
        super().__init__(message)
        self.size = size
        self.limit = limit


class PayloadEncryptionError(PayloadError, ValueError):
    """A value cannot be encrypted the way it is marked, so it is not sent."""


class PayloadDecodeError(PayloadError, ValueError):
    """The bytes of a payload do not match its encoding options."""


class PayloadDecryptionError(PayloadDecodeError):
    """No configured key decrypts a payload, or the payload was modified after encryption.

    Attributes:
        needs_other_key: True if a process with another key may be able to decrypt it.
    """

    needs_other_key: bool = False


class PayloadDecompressionError(PayloadDecodeError):
    """A compressed payload is corrupt, or exceeds the allowed size once decompressed."""


class EncryptionNotConfiguredError(PayloadError):
    """An encrypted payload arrived, but no encryption keys are configured here."""


class OffloadingNotConfiguredError(PayloadError):
    """A reference to an offloaded payload arrived, but no store is configured here."""


class ReferenceRefusedError(PayloadError):
    """A reference names a key that this configuration may not read, or that no store can hold.

    Attributes:
        key: the key as the reference spells it, or None when it has none.
    """

    def __init__(self, message: str, *, key: str | None = None) -> None:
        super().__init__(message)
        self.key = key


class OffloadableFieldError(PayloadError):
    """The value of an activity field is not available here.

    Attributes:
        field: the field's name in its model, or None when it was never part of a model.
    """

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class OffloadedValueInWorkflowError(OffloadableFieldError):
    """Workflow code tried to read the value of an activity field; only activities may."""


class FileError(MistralOffloadError):
    """An offloadable file cannot be read or written here."""


class FileTooLargeError(FileError, ValueError):
    """A file or stream has more bytes than can be stored.

    Attributes:
        size: size in bytes; of a stream, the bytes that were written.
        limit: the largest size in bytes.
    """

    def __init__(self, message: str, *, size: int, limit: int) -> None:
        super().__init__(message)
        self.size = size
        self.limit = limit


class FileChangedError(FileError):
    """A local file changed while it was read; nothing refers to what was stored of it."""


class LocalFileError(FileError, OSError):
    """A local file cannot be opened, read or written, for example because the disk is full.

    Attributes:
        path: the path of the file.
    """

    def __init__(self, message: str, *, path: str) -> None:
        super().__init__(message)
        self.path = path


class StorageError(MistralOffloadError):
    """An operation on the object store failed.

    Attributes:
        provider: ``s3``, ``azure``, ``gcs``, ``local`` or ``memory``.
        container: name of the bucket or container, or the directory.
        key: the key in the container, prefix included, or None when no single key is involved.
    """

    def __init__(self, message: str, *, provider: str, container: str, key: str | None) -> None:
        place = f"{provider} {container!r}" + (f", key {key!r}" if key is not None else "")
        super().__init__(f"{message} ({place})")
        self.provider = provider
        self.container = container
        self.key = key


class BlobNotFoundError(StorageError):
    """Nothing is stored under the key.

    Attributes:
        missing_seconds: seconds since this process first found the blob missing.
        store_is_proven: True if this process has read, from the same store, another blob of the
            same execution (of the same run, for an activity field) that it had not written itself.
            Otherwise the store may be a wrong one.
    """

    missing_seconds: float = 0.0
    store_is_proven: bool = False


class BlobCorruptedError(StorageError):
    """The stored bytes do not match the hash in their content-addressed key."""


class StorageAccessDeniedError(StorageError):
    """The store rejected the credentials, or they do not permit this operation."""


class ContainerNotFoundError(StorageError):
    """The bucket, container or directory does not exist."""


class StorageUnavailableError(StorageError):
    """The store sent no response, or only transient failures, within the retry time.

    Attributes:
        retry_after: seconds the server asked clients to wait before the next request, or None.
    """

    retry_after: float | None = None


class LifecycleUnsupportedError(StorageError):
    """The provider has no expiry rules, or does not let this client read or set them."""


class LifecycleChangedError(StorageError):
    """The bucket's expiry rules differ from those the plan was based on, or those just written."""


class StoreClosedError(StorageError):
    """The store was used after it was closed, or in a forked child process."""


class APIConnectionError(MistralOffloadError):
    """The platform sent no response: the connection failed or broke.

    Attributes:
        attempts: number of times the request was sent, or 0 if it is not known.
        seconds: time from the first attempt to the end of the last one, pauses included.
    """

    attempts: int = 0
    seconds: float = 0.0

    def __str__(self) -> str:
        text = super().__str__()
        if not self.attempts:
            return text
        noun = "attempt" if self.attempts == 1 else "attempts"
        return f"{text}; gave up after {self.attempts} {noun} in {self.seconds:.1f} s"


class APITimeoutError(APIConnectionError, TimeoutError):
    """The platform sent no response within the request timeout."""


class StreamDisconnectedError(APIConnectionError):
    """The platform ended a stream with an error.

    A stream opened with ``reconnect=True`` reconnects instead of raising this, if it can.

    Attributes:
        reason: ``read_error``, ``stream_error`` or ``internal_error``.
        error: the platform's error message; empty when it sent none.
    """

    def __init__(self, *, reason: str, error: str) -> None:
        super().__init__(f"the platform ended the stream ({reason}): {error or 'no reason given'}")
        self.reason = reason
        self.error = error


class APIError(MistralOffloadError):
    """The platform responded with an error.

    Attributes:
        status_code: HTTP status code.
        body: the complete response text; the message shows its first 500 characters.
        headers: response headers, names in lower case.
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
    """400: the platform could not process the request."""


class AuthenticationError(APIError):
    """401: no API key was sent, or it is not valid."""


class PermissionDeniedError(APIError):
    """403: the API key does not permit this operation."""


class NotFoundError(APIError):
    """404: no such workflow, execution or route."""


class ConflictError(APIError):
    """409: the resource exists already, or its state does not allow the operation."""


class ValidationError(APIError):
    """422: the platform rejected parameters of the request; ``detail`` lists them."""

    @property
    def detail(self) -> list[dict[str, Any]]:
        """The problems found, one dict each: ``loc`` (path to the parameter), ``msg``, ``type``.

        Empty when the body has another shape; read ``body`` then.
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
    """429: too many requests; raised once the retries are used up."""


class ServerError(APIError):
    """5xx: the platform failed; raised once the retries are used up."""


class ResponseValidationError(APIError):
    """The platform reported success, but the body is not what the operation returns."""


class ResponseTooLargeError(APIError):
    """A response's body, or one event of a stream, is larger than the client accepts.

    Attributes:
        size: bytes after decompression: all of them if the response names its length, otherwise
            those read when the limit was exceeded.
        limit: the client's ``max_response_bytes``.
    """

    def __init__(
        self, what: str, *, size: int, limit: int, status_code: int, headers: Mapping[str, str]
    ) -> None:
        super().__init__(
            f"{what} has {size:,} bytes or more, over the limit of {limit:,} bytes: raise "
            "max_response_bytes of the client if it is meant to be so large",
            status_code=status_code,
            body="",
            headers=headers,
        )
        self.size = size
        self.limit = limit


class WorkflowError(MistralOffloadError):
    """An execution did not deliver its result.

    Attributes:
        execution_id: id of the execution.
        status: last known status in the platform's spelling, or None when it is unknown.
    """

    def __init__(self, message: str, *, execution_id: str, status: str | None) -> None:
        super().__init__(message)
        self.execution_id = execution_id
        self.status = status


class ExecutionNotFoundError(WorkflowError):
    """Temporal has no such execution: wrong id or namespace, or its retention has passed."""


class WorkflowFailedError(WorkflowError):
    """The execution ended without a result: failed, canceled, terminated or timed out.

    Attributes:
        reason: message of the original failure, which an activity or a child may have raised; None
            when the platform sent none. Decoded if it was encrypted and this client has the keys.
        failure_type: type of that failure, such as the exception's class; None when it is unknown.
        causes: type and message of each exception that the failure was raised from, as far as the
            platform sends them.
    """

    def __init__(
        self,
        *,
        execution_id: str,
        status: str | None,
        reason: str | None,
        failure_type: str | None = None,
        causes: tuple[tuple[str | None, str], ...] = (),
    ) -> None:
        cause = reason or "the platform gave no reason"
        if failure_type and status == "FAILED":
            cause = f"{failure_type}: {cause}"
        super().__init__(
            f"execution {execution_id!r} ended with status {status}: {cause}",
            execution_id=execution_id,
            status=status,
        )
        self.reason = reason
        self.failure_type = failure_type
        self.causes = causes


class WorkflowResultError(WorkflowError, ValueError):
    """A result does not fit the ``result_type`` of the call; the execution itself has not failed.

    Attributes:
        field: path of the first member that does not fit, such as ``pages.3.text``; empty if it is
            the result itself.
        problems: every problem found, as ``field: problem``, without values.
        result: the JSON value of the result, as calls without ``result_type`` return it.
    """

    def __init__(
        self,
        message: str,
        *,
        execution_id: str,
        status: str | None,
        field: str,
        problems: tuple[str, ...],
        result: Any,
    ) -> None:
        super().__init__(message, execution_id=execution_id, status=status)
        self.field = field
        self.problems = problems
        self.result = result


class WorkflowTimeoutError(WorkflowError, TimeoutError):
    """The execution did not end in the time allowed; it may still be running.

    Call ``wait_for_workflow_completion`` with its ``execution_id`` to keep waiting.
    """
