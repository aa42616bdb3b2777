"""Exceptions as Temporal's failures: typed, final where no retry can help, never too large."""

from __future__ import annotations

from temporalio.api.failure.v1 import Failure
from temporalio.converter import DefaultFailureConverter, PayloadConverter

from mistral_offload.errors import MistralOffloadError
from mistral_offload.limits import INLINE_LIMIT_BYTES
from mistral_offload.temporal.failures.lost_payloads import LENIENT, as_failure, is_lasting

_LONGEST_TEXT = 32 * 1024
_MOST_CAUSES = 16


class OffloadingFailureConverter(DefaultFailureConverter):
    """Temporal's own failures, with three differences.

    Errors of this package that no retry can fix are not retried. Long messages and stack traces,
    and long chains of causes, are shortened and say so, because a failure over the limit is not
    delivered at all. Details over the limit are left out and mentioned, unless they are offloaded.

    Args:
        offloads: True when a codec offloads large details.
        encrypts: True to put messages and stack traces where a codec encrypts them.
    """

    def __init__(self, *, offloads: bool, encrypts: bool) -> None:
        super().__init__(encode_common_attributes=encrypts)
        self._offloads = offloads

    def to_failure(
        self, exception: BaseException, payload_converter: PayloadConverter, failure: Failure
    ) -> None:
        """Write an exception, which is not changed."""
        if isinstance(exception, MistralOffloadError) and is_lasting(exception):
            final = as_failure(exception)
            final.__traceback__, final.__cause__ = exception.__traceback__, exception.__cause__
            exception = final
        token = LENIENT.set(True)
        try:
            super().to_failure(exception, payload_converter, failure)
        finally:
            LENIENT.reset(token)
        if not self._offloads:
            _drop_large_details(failure)
        _shorten(failure)

    def from_failure(self, failure: Failure, payload_converter: PayloadConverter) -> BaseException:
        """Read an exception; a detail that cannot be decoded raises when it is used."""
        token = LENIENT.set(True)
        try:
            return super().from_failure(failure, payload_converter)
        finally:
            LENIENT.reset(token)


def failure_converter_class(*, offloads: bool, encrypts: bool) -> type[OffloadingFailureConverter]:
    """Make the class for a data converter, which instantiates it without arguments."""

    class ConfiguredFailureConverter(OffloadingFailureConverter):
        def __init__(self) -> None:
            super().__init__(offloads=offloads, encrypts=encrypts)

    return ConfiguredFailureConverter


def _shorten(failure: Failure) -> None:
    for number in range(_MOST_CAUSES):
        if len(failure.message) > _LONGEST_TEXT:
            failure.message = _shortened(failure.message)
        if len(failure.stack_trace) > _LONGEST_TEXT:
            failure.stack_trace = _shortened(failure.stack_trace)
        if not failure.HasField("cause"):
            return
        if number == _MOST_CAUSES - 1:
            failure.ClearField("cause")
            failure.message += " [mistral-offload left out further causes]"
            return
        failure = failure.cause


def _shortened(text: str) -> str:
    kept = _LONGEST_TEXT // 2
    left_out = len(text) - 2 * kept
    return f"{text[:kept]} [… mistral-offload left out {left_out:,} characters …] {text[-kept:]}"


def _drop_large_details(failure: Failure) -> None:
    for name in ("application_failure_info", "canceled_failure_info"):
        if failure.HasField(name):
            info = getattr(failure, name)
            size = info.details.ByteSize()
            if size > INLINE_LIMIT_BYTES:
                info.ClearField("details")
                failure.message += (
                    f" [mistral-offload left out details of {size:,} bytes, over the platform's "
                    f"limit of {INLINE_LIMIT_BYTES:,} bytes: configure payload offloading]"
                )
