"""Decoding of the values in a response."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from mistral_offload import _synchronization
from mistral_offload.api.connection import Connection
from mistral_offload.api.failures import mark_unreadable
from mistral_offload.api.operation import Operation
from mistral_offload.api.response_values import EncodedValue
from mistral_offload.errors import (
    PayloadError,
    StorageError,
    StorageUnavailableError,
    StoreClosedError,
)

_CONCURRENT_READS = 8
"""Blobs of one response that are read at a time."""

_logger = logging.getLogger("mistral_offload")


@dataclass
class _Decoding:
    """The decoding of one response.

    Attributes:
        operation: the operation that returned it.
        outage: the error of a store that does not respond; events take no further value from it.
    """

    operation: Operation[Any]
    outage: StorageUnavailableError | None = None


class AsyncResponseDecoder:
    """Decodes the values in responses, in place.

    Args:
        connection: settings of the client; its encoder undoes encryption, compression and
            offloading.
    """

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._warned: set[tuple[str, str]] = set()

    async def decode_values_async(
        self, operation: Operation[Any], values: Iterable[EncodedValue]
    ) -> None:
        """Decode values, reading a few blobs at a time.

        A value of an event that cannot be decoded stays as it is, with the reason beside it. So do
        texts of failures, and all values of a lenient operation.

        Raises:
            PayloadError, StorageError: another value cannot be decoded.
            StoreClosedError: the client was closed.
        """
        # Without payload settings, an envelope with nothing to decode is the user's own value.
        configured = self._connection.encoder.is_configured
        found = [value for value in values if value.needs_decoding or configured]
        decode = partial(self._decode_async, _Decoding(operation))
        for value in found:
            if not value.is_reference:
                await decode(value)
        references = [value for value in found if value.is_reference]
        await _synchronization.for_each_async(references, decode, limit=_CONCURRENT_READS)

    async def _decode_async(self, decoding: _Decoding, value: EncodedValue) -> None:
        operation, encoder = decoding.operation, self._connection.encoder
        try:
            if value.in_event and (known := value.error or decoding.outage):
                raise known
            if value.patches is not None:
                value.replace(encoder.decode_patches(value.patches))
            else:
                value.replace(await encoder.decode_value_async(value.payload))
        except StoreClosedError:
            raise
        except (PayloadError, StorageError) as error:
            if value.in_event:
                # Each value would wait for the end of its retries, those of a page for hours.
                if isinstance(error, StorageUnavailableError):
                    decoding.outage = error
                value.keep(error)
                self._warn_once(operation, error)
            elif value.in_failure:
                mark_unreadable(value, error)
            elif operation.lenient:
                _logger.warning("%s: a value was left encoded: %s", operation.name, error)
            else:
                raise

    def _warn_once(self, operation: Operation[Any], error: Exception) -> None:
        """Log the first of many values of events that cannot be decoded for the same reason."""
        reason = (operation.name, type(error).__name__)
        if reason not in self._warned:
            self._warned.add(reason)
            _logger.warning(
                "%s: a value of an event was left encoded: %s (decode_error of a value says why; "
                "further ones are not logged)",
                operation.name,
                error,
            )
