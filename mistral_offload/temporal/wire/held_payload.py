"""Payloads whose data is a plain object, and not a copy inside of a protobuf message."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Protocol

from temporalio.api.common.v1 import Payload

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
        data: the data, which is not copied.
    """

    __slots__ = ("_byte_size", "data", "metadata")

    def __init__(self, metadata: Mapping[str, bytes], data: bytes) -> None:
        self.metadata = metadata
        self.data = data
        self._byte_size = 0

    def ByteSize(self) -> int:
        """Return the size in bytes of the message that `to_payload` makes."""
        if not self._byte_size:
            size = Payload(metadata=self.metadata).ByteSize()
            if self.data:
                varint = (len(self.data).bit_length() + _VARINT_BITS - 1) // _VARINT_BITS
                size += 1 + varint + len(self.data)
            self._byte_size = size
        return self._byte_size

    def to_payload(self) -> Payload:
        """Return a message with a copy of the data."""
        return Payload(metadata=self.metadata, data=self.data)


def to_message(payload: PayloadParts) -> Payload:
    """Return a payload as a message; the same object if it is one."""
    if isinstance(payload, Payload):
        return payload
    return Payload(metadata=payload.metadata, data=payload.data)


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
