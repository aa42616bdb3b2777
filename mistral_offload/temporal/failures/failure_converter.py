"""Converts exceptions to Temporal failures: typed, not retried when futile, never too large."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from temporalio.api.common.v1 import Payload
from temporalio.api.enums.v1 import NexusHandlerErrorRetryBehavior
from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, FailureConverter, PayloadConverter
from temporalio.exceptions import ApplicationError, CancelledError

from mistral_offload.config import LostBlobConfig
from mistral_offload.errors import MistralOffloadError, PayloadSerializationError
from mistral_offload.limits import INLINE_LIMIT_BYTES
from mistral_offload.temporal.failures.activity_retries import will_be_retried
from mistral_offload.temporal.failures.awaited_payloads import (
    describe_awaited,
    may_be_readable_elsewhere,
)
from mistral_offload.temporal.failures.lost_payloads import LENIENT, as_failure, is_lasting
from mistral_offload.temporal.failures.lost_value import LostPayload, require_delivered

_UNSPECIFIED = NexusHandlerErrorRetryBehavior.NEXUS_HANDLER_ERROR_RETRY_BEHAVIOR_UNSPECIFIED
_NON_RETRYABLE = NexusHandlerErrorRetryBehavior.NEXUS_HANDLER_ERROR_RETRY_BEHAVIOR_NON_RETRYABLE
_LONGEST_TEXT = 32 * 1024
_MOST_CAUSES = 16

_RETRIED_LIMIT_BYTES = 4 * 1024
"""Largest failure that Temporal keeps whole while an activity is retried."""

_ENCRYPTION_BYTES = 128
"""Bytes that encryption may add to a payload: nonce, tag, and metadata."""

_REFERENCE_BYTES = 1024
"""Size of an offloaded payload, with a long execution id."""


class OffloadingFailureConverter(FailureConverter):
    """A failure converter of another class, with four differences.

    - Errors of this package that no retry can fix are not retryable, nor are Nexus operations that
      fail because of one.
    - Long messages, stack traces and chains of causes are shortened, with a note, because Temporal
      does not deliver a failure over the limit at all.
    - Details over the limit are removed, with a note, unless they are offloaded; so are
      details that cannot be written.
    - Encoded messages and stack traces of an activity that is retried are shortened until the
      failure is small enough for Temporal to keep it whole: stack traces first.

    `failure_converter_class` makes subclasses, which also inherit from the other class: the causes
    of a failure are converted by the same object.

    Attributes:
        offloads: True when a codec offloads large details.
        encrypts: True to put messages and stack traces into a payload, which a codec encrypts.
        lost_blobs: conditions under which a missing blob is an error that no retry can fix.
    """

    offloads: bool
    encrypts: bool
    lost_blobs: LostBlobConfig

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Write an exception to a failure; the exception is not modified."""
        replacement = self._replacement(exception)
        if replacement is not None:
            replacement.__traceback__ = exception.__traceback__
            replacement.__cause__ = exception.__cause__
            exception = replacement
        token = LENIENT.set(True)
        try:
            details_converter = _details_converter(payload_converter)
            super().to_failure(exception, details_converter, failure)  # type: ignore[safe-super]
            self._mark_as_lasting(exception, failure)
            if not self.offloads:
                _drop_large_details(failure)
            _shorten(failure)
            if self.encrypts:
                if not failure.HasField("encoded_attributes"):
                    _write_texts(failure, payload_converter, failure.message, failure.stack_trace)
                is_cause = details_converter is payload_converter
                if not is_cause and will_be_retried(failure):
                    _fit_for_retry(failure, payload_converter, offloads=self.offloads)
        finally:
            LENIENT.reset(token)

    def _mark_as_lasting(self, exception: BaseException, failure: Failure) -> None:
        """Keep Temporal from retrying a Nexus operation that no retry can help."""
        cause = exception.__cause__
        if failure.HasField("nexus_handler_failure_info") and cause is not None:
            info = failure.nexus_handler_failure_info
            if info.retry_behavior == _UNSPECIFIED and is_lasting(cause, self.lost_blobs):
                info.retry_behavior = _NON_RETRYABLE

    def _replacement(self, exception: BaseException) -> ApplicationError | None:
        """Return the failure that is sent instead of an error of this package, if any."""
        if not isinstance(exception, MistralOffloadError):
            return None
        if is_lasting(exception, self.lost_blobs):
            return as_failure(exception)
        if may_be_readable_elsewhere(exception):
            text = describe_awaited(exception, self.lost_blobs)
            return ApplicationError(text, type=type(exception).__name__)
        return None

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        """Read an exception; if a detail cannot be decoded, ``details`` raises the reason.

        The details themselves are not enough: pydantic would report a `LostPayload` as a value of
        another type, and code that expects such an error would fall back to a default.
        """
        token = LENIENT.set(True)
        try:
            exception: Any = super().from_failure(failure, payload_converter)  # type: ignore[safe-super]
            for kind, with_lost in _WITH_LOST_DETAILS.items():
                if type(exception) is kind and _has_lost(exception.details):
                    exception.__class__ = with_lost
            read: BaseException = exception
            return read
        finally:
            LENIENT.reset(token)


class _LostDetails:
    """Adds to an exception that its details cannot be taken, except while it is converted."""

    @property
    def details(self) -> Sequence[Any]:
        exception: Any = super()
        details: Sequence[Any] = exception.details
        if not LENIENT.get():
            require_delivered(details)
        return details


class _ApplicationErrorWithLostDetails(_LostDetails, ApplicationError): ...


class _CancelledErrorWithLostDetails(_LostDetails, CancelledError): ...


_WITH_LOST_DETAILS: dict[Any, Any] = {
    ApplicationError: _ApplicationErrorWithLostDetails,
    CancelledError: _CancelledErrorWithLostDetails,
}
for _kind, _with_lost in _WITH_LOST_DETAILS.items():  # logs and Temporal's failures show the name
    _with_lost.__name__, _with_lost.__qualname__ = _kind.__name__, _kind.__qualname__


def _has_lost(details: Sequence[Any]) -> bool:
    return any(type(each) is LostPayload for each in details)


class _DetailsConverter(PayloadConverter):
    """Converts the details of failures; one that cannot be written is replaced by the reason."""

    def __init__(self, inner: PayloadConverter) -> None:
        self._inner = inner

    def to_payloads(self, values: Sequence[Any]) -> list[Payload]:
        try:
            return self._inner.to_payloads(values)
        except PayloadSerializationError:
            return [self._to_payload(value) for value in values]

    def from_payloads(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        return self._inner.from_payloads(payloads, type_hints)

    def _to_payload(self, value: Any) -> Payload:
        try:
            return self._inner.to_payload(value)
        except PayloadSerializationError as error:
            return self._inner.to_payload(f"[mistral-offload left out a detail: {error}]")


def _details_converter(converter: PayloadConverter) -> PayloadConverter:
    # A failure's causes are converted by the same converter.
    return converter if isinstance(converter, _DetailsConverter) else _DetailsConverter(converter)


def failure_converter_class(
    inner: type[FailureConverter] = DefaultFailureConverter,
    *,
    offloads: bool,
    encrypts: bool,
    lost_blobs: LostBlobConfig = LostBlobConfig(),
) -> type[OffloadingFailureConverter]:
    """Make an `OffloadingFailureConverter` class that Temporal can instantiate without arguments.

    Args:
        inner: the class that converts failures otherwise; instantiated without arguments.
        offloads: see `OffloadingFailureConverter`, as for the other arguments.
    """
    members = {"offloads": offloads, "encrypts": encrypts, "lost_blobs": lost_blobs}
    return type("ConfiguredFailureConverter", (OffloadingFailureConverter, inner), members)


def _write_texts(
    failure: Failure, payload_converter: PayloadConverter, message: str, stack_trace: str
) -> None:
    """Put message and stack trace into a payload, as `DefaultFailureConverter` can do it."""
    texts = {"message": message, "stack_trace": stack_trace}
    failure.encoded_attributes.CopyFrom(payload_converter.to_payloads([texts])[0])
    failure.message = "Encoded failure"
    failure.stack_trace = ""


class _Texts(NamedTuple):
    """The encoded texts of a failure, or of one of its causes."""

    failure: Failure
    message: str
    stack_trace: str


def _fit_for_retry(
    failure: Failure, payload_converter: PayloadConverter, *, offloads: bool
) -> None:
    """Shorten encoded stack traces, then messages, until Temporal keeps the failure.

    Changes nothing if that is not enough: details or many causes are too large by themselves.
    """
    if _encrypted_size(failure, offloads=offloads) <= _RETRIED_LIMIT_BYTES:
        return
    given = _read_texts(failure, payload_converter)

    def write(longest_message: int, longest_trace: int) -> int:
        for each, message, trace in given:
            message = _shortened(message, longest_message)
            _write_texts(each, payload_converter, message, _shortened(trace, longest_trace))
        return _encrypted_size(failure, offloads=offloads)

    def last_fitting(size: Callable[[int], int]) -> int:
        return bisect_right(range(_LONGEST_TEXT), _RETRIED_LIMIT_BYTES, key=size) - 1

    longest_message = _LONGEST_TEXT
    longest_trace = last_fitting(lambda length: write(_LONGEST_TEXT, length))
    if longest_trace < 0:
        longest_trace = 0
        longest_message = last_fitting(lambda length: write(length, 0))
    if longest_message < 0:
        longest_message = longest_trace = _LONGEST_TEXT
    write(longest_message, longest_trace)


def _read_texts(failure: Failure, payload_converter: PayloadConverter) -> list[_Texts]:
    found: list[_Texts] = []
    while True:
        if failure.HasField("encoded_attributes"):
            [texts] = payload_converter.from_payloads([failure.encoded_attributes])
            match texts:
                case {"message": str(message), "stack_trace": str(stack_trace)}:
                    found.append(_Texts(failure, message, stack_trace))
                case _:  # written by another converter
                    pass
        if not failure.HasField("cause"):
            return found
        failure = failure.cause


def _encrypted_size(failure: Failure, *, offloads: bool) -> int:
    """Return the size in bytes that a failure will have after encryption.

    Details over the limit count as references if they may be offloaded: they do not fit otherwise.
    """
    size = failure.ByteSize()
    while True:
        if failure.HasField("encoded_attributes"):
            size += _ENCRYPTION_BYTES
        for detail in failure.application_failure_info.details.payloads:
            size += _ENCRYPTION_BYTES
            if offloads and detail.ByteSize() > _RETRIED_LIMIT_BYTES:
                size -= detail.ByteSize() - _REFERENCE_BYTES
        if not failure.HasField("cause"):
            return size
        failure = failure.cause


def _shorten(failure: Failure) -> None:
    for number in range(_MOST_CAUSES):
        if len(failure.message) > _LONGEST_TEXT:
            failure.message = _shortened(failure.message, _LONGEST_TEXT)
        if len(failure.stack_trace) > _LONGEST_TEXT:
            failure.stack_trace = _shortened(failure.stack_trace, _LONGEST_TEXT)
        if not failure.HasField("cause"):
            return
        if number == _MOST_CAUSES - 1:
            failure.ClearField("cause")
            failure.message += " [mistral-offload removed further causes]"
            return
        failure = failure.cause


def _shortened(text: str, longest: int) -> str:
    if len(text) <= longest:
        return text
    kept = longest // 2
    removed = len(text) - 2 * kept
    end = text[len(text) - kept :]
    return f"{text[:kept]} [… mistral-offload removed {removed:,} characters …] {end}"


def _drop_large_details(failure: Failure) -> None:
    for name in ("application_failure_info", "canceled_failure_info"):
        if failure.HasField(name):
            info = getattr(failure, name)
            size = info.details.ByteSize()
            if size > INLINE_LIMIT_BYTES:
                info.ClearField("details")
                failure.message += (
                    f" [mistral-offload removed details of {size:,} bytes, over the platform's "
                    f"limit of {INLINE_LIMIT_BYTES:,} bytes: configure payload offloading]"
                )
