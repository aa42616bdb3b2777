"""Payloads whose data is a plain object, and not a copy inside of a protobuf message."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from temporalio.api.common.v1 import Payload

from mistral_offload.payload.held_text import HeldText, bytes_of, size_of

_holding: ContextVar[bool] = ContextVar("mistral_offload_holding", default=False)

_VARINT_BITS = 7


class PayloadParts(Protocol):
    """The members of a payload that this package reads."""

    @property
    def metadata(self) -> Mapping[str, bytes]:
        """Properties of the data, its encoding among them."""
        ...

    @property
    def data(self) -> bytes:
        """The data."""
        ...

    def ByteSize(self) -> int:
        """Return the size of the message in bytes."""
        ...


class HeldPayload:
    """A payload as a plain object; see `PayloadParts`.

    Args:
        metadata: properties of the data.
        text: the data, which is not copied.
    """

    __slots__ = ("_byte_size", "metadata", "text")

    def __init__(self, metadata: Mapping[str, bytes], text: bytes | HeldText) -> None:
        self.metadata = metadata
        self.text = text
        self._byte_size = 0

    @property
    def data(self) -> bytes:
        """The data; `text_of` does not make the bytes of a text that is held."""
        return bytes_of(self.text)

    def ByteSize(self) -> int:
        """Return the size in bytes of the message that `to_payload` makes."""
        if not self._byte_size:
            size, length = Payload(metadata=self.metadata).ByteSize(), size_of(self.text)
            if length:
                varint = (length.bit_length() + _VARINT_BITS - 1) // _VARINT_BITS
                size += 1 + varint + length
            self._byte_size = size
        return self._byte_size


def text_of(payload: PayloadParts) -> bytes | HeldText:
    """Return a payload's data, whose bytes need not be made yet."""
    return payload.text if isinstance(payload, HeldPayload) else payload.data


def data_size(payload: PayloadParts) -> int:
    """Return the size of a payload's data in bytes."""
    return size_of(text_of(payload))


def to_message(payload: PayloadParts, data: bytes | None = None) -> Payload:
    """Return a payload as a message; the same object if it is one.

    Args:
        payload: the payload.
        data: its data, if the caller has made the bytes.
    """
    if isinstance(payload, Payload):
        return payload
    return Payload(metadata=payload.metadata, data=payload.data if data is None else data)


@contextmanager
def holding(allowed: bool) -> Generator[None]:
    """Allow converters inside to return a `HeldPayload` as a payload."""
    token = _holding.set(allowed)
    try:
        yield
    finally:
        _holding.reset(token)


def is_holding() -> bool:
    """Return True if a converter may return a `HeldPayload`."""
    return _holding.get()
