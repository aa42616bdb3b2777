"""Size limits of argument lists and messages, and the offloading floors that follow from them.

The server limits an argument list to 2 MiB, and refuses a workflow task's response over 4 MiB, so
many payloads of a legal size can add up to an illegal one. The sizes in a message are therefore
added up, and the offloading floor is lowered until the rest fits. The largest payloads are
offloaded first.

A list that cannot be made to fit is refused while its values are converted. That happens in the
workflow's own code, where an error ends the workflow. Raised later, while the response is encoded,
it would only make Temporal retry the workflow task again and again.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from temporalio.api.common.v1 import Payload

from mistral_offload.errors import KeyTooLongError, PayloadTooLargeError
from mistral_offload.limits import (
    INLINE_LIMIT_BYTES,
    MESSAGE_BUDGET_BYTES,
    SMALLEST_OFFLOADED_BYTES,
)
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.failures.lost_payloads import LENIENT
from mistral_offload.temporal.wire.context_payloads import read_context
from mistral_offload.temporal.wire.held_payload import PayloadParts, data_size
from mistral_offload.temporal.wire.owner import PayloadOwner

_REFERENCE_BYTES = 320
"""Size of an offloaded payload without its metadata: key, options, framing."""

_FRAMING_BYTES = 16
"""Size of the framing of a payload in a message. Commands use the 0.5 MiB that are kept free."""

_UNPLANNED_SHARE = 8
"""Divisor of the remaining budget: the largest share that one unplanned payload may take."""

REMEDY = (
    "Configure payload offloading: BlobStorageConfig(…) in PayloadOffloadingConfig, or the "
    "worker's TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__… variables."
)
NAMESPACE_REMEDY = (
    "Temporal names no execution for it, so it can only be offloaded if the namespace is known: "
    "use OffloadPlugin, or pass namespace=… to data_converter."
)


@dataclass(frozen=True, slots=True)
class PayloadSize:
    """Sizes of a payload in a message, in bytes.

    Attributes:
        data: the data alone; payloads are offloaded in the order of this size.
        inline: data, metadata and framing.
        offloaded: reference, metadata and framing, when the data is in the store.
    """

    data: int
    inline: int
    offloaded: int

    @classmethod
    def of(cls, payload: PayloadParts) -> PayloadSize:
        """Measure a payload."""
        data, inline = data_size(payload), payload.ByteSize() + _FRAMING_BYTES
        return cls(data, inline, inline - data + _REFERENCE_BYTES)


def offloading_floor(sizes: Iterable[PayloadSize], budget: int) -> int | None:
    """Return the data size from which payloads must be offloaded for all to fit the budget.

    None when all fit as they are. When they cannot be made to fit, the floor is as low as it is
    useful.
    """
    largest_first = sorted(sizes, key=lambda size: size.data, reverse=True)
    total = sum(size.inline for size in largest_first)
    floor = None
    for size in largest_first:
        if total <= budget or size.data < SMALLEST_OFFLOADED_BYTES:
            break
        total -= size.inline - size.offloaded
        floor = size.data
    return floor


def list_floor(payloads: Sequence[PayloadParts]) -> int | None:
    """Return the offloading floor of one argument list, by the server's limit for lists."""
    if list_size(payloads) <= INLINE_LIMIT_BYTES:
        return None
    return offloading_floor(map(PayloadSize.of, payloads), INLINE_LIMIT_BYTES)


def list_size(payloads: Iterable[PayloadParts]) -> int:
    """Return the size of a list in bytes, as the server counts it."""
    return sum(payload.ByteSize() + _FRAMING_BYTES for payload in payloads)


class MessageBudget:
    """Bytes that are left for payloads in one message to the server.

    Args:
        capacity: bytes for all payloads of the message.
    """

    def __init__(self, capacity: int = MESSAGE_BUDGET_BYTES) -> None:
        self._capacity = capacity
        self._spent = 0

    @property
    def remaining(self) -> int:
        """Bytes that may still be added; never negative."""
        return max(0, self._capacity - self._spent)

    @property
    def unplanned_floor(self) -> int:
        """Offloading floor in bytes for payloads that are in no batch."""
        return max(SMALLEST_OFFLOADED_BYTES, self.remaining // _UNPLANNED_SHARE)

    def reserve(self, sizes: Iterable[int]) -> None:
        """Subtract the sizes, in bytes, of payloads that will be in the message."""
        self._spent += sum(sizes)

    def add(self, payloads: Iterable[PayloadParts]) -> None:
        """Subtract payloads that are in the message now."""
        self._spent += list_size(payloads)


def size_error(
    payloads: Sequence[PayloadParts], *, remedy: str = REMEDY
) -> PayloadTooLargeError | None:
    """Return the error for a list over the server's limit; None if it is within."""
    size = list_size(payloads)
    if size <= INLINE_LIMIT_BYTES:
        return None
    what = "the payload" if len(payloads) == 1 else f"a list of {len(payloads)} payloads"
    return PayloadTooLargeError(what, size=size, limit=INLINE_LIMIT_BYTES, remedy=remedy)


def unencoded_size_error(
    payloads: Sequence[PayloadParts], encoder: PayloadEncoder
) -> PayloadTooLargeError | None:
    """Return the error for a list that will be over the limit once it is encoded.

    Args:
        payloads: a list before it is encoded.
        encoder: encodes the list later; with one that offloads there is no error.
    """
    if encoder.offloads or LENIENT.get() or list_size(payloads) <= INLINE_LIMIT_BYTES:
        return None
    return size_error(_encoded_in_place(payloads, encoder))


def unstorable_error(
    payloads: Sequence[PayloadParts],
    owner: PayloadOwner,
    encoder: PayloadEncoder,
    *,
    may_grow: bool = False,
) -> KeyTooLongError | None:
    """Return the error for a list over the limit that cannot be offloaded because of its owner.

    Args:
        payloads: a list before it is encoded.
        owner: the execution that owns payloads without a context of their own.
        encoder: encodes the list later.
        may_grow: True if another codec changes the list before; it may double its size.
    """
    limit = INLINE_LIMIT_BYTES // 2 if may_grow else INLINE_LIMIT_BYTES
    if not encoder.offloads or list_size(payloads) <= limit:
        return None
    for payload in payloads:
        if data_size(payload) < SMALLEST_OFFLOADED_BYTES:
            continue
        own = read_context(payload)
        context = owner.context if own is None else owner.context_for(own)
        error = encoder.key_error(context)
        if error is None:
            continue
        if may_grow or size_error(_encoded_in_place(payloads, encoder)) is not None:
            return error
    return None


def _encoded_in_place(payloads: Sequence[PayloadParts], encoder: PayloadEncoder) -> list[Payload]:
    # Compression may make them fit. Encoding again later gives almost certainly the same size.
    return [
        Payload(metadata=payload.metadata, data=encoder.encode(payload.data, None).data)
        for payload in payloads
    ]
