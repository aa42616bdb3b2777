"""How large the payloads of one list and of one message may be, and which must go to the store.

The server limits an argument list, and refuses a whole workflow task whose response is over 4 MiB:
many payloads of a legal size add up. So what a message holds is counted, and the size from which on
payloads leave is lowered as far as it takes. The largest leave first.

What nothing can make deliverable is refused. Temporal retries a workflow task whose response is too
large again and again; raised while a value is converted, which happens in the workflow's own code,
an error ends the workflow instead.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from temporalio.api.common.v1 import Payload

from mistral_offload.errors import PayloadTooLargeError
from mistral_offload.limits import (
    INLINE_LIMIT_BYTES,
    MESSAGE_BUDGET_BYTES,
    SMALLEST_OFFLOADED_BYTES,
)
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.failures.lost_payloads import LENIENT

_REFERENCE_BYTES = 320
"""What is left of an offloaded payload besides its metadata: key, options, framing."""

_FRAMING_BYTES = 16
"""What a message needs around a payload; commands come on top, from the 0.5 MiB kept free."""

_SHARE = 8
"""No payload that was not announced takes more than this part of the room that is left."""

_REMEDY = (
    "Configure payload offloading: BlobStorageConfig(…) in PayloadOffloadingConfig, or the "
    "worker's TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__… variables."
)


@dataclass(frozen=True, slots=True)
class Weight:
    """What a payload weighs in a message.

    Attributes:
        data: bytes of data, by which it is chosen.
        whole: bytes with metadata.
        left: bytes of what stays in the message when the data goes to the store.
    """

    data: int
    whole: int
    left: int

    @classmethod
    def of(cls, payload: Payload) -> Weight:
        """The weight of a payload."""
        data, whole = len(payload.data), payload.ByteSize() + _FRAMING_BYTES
        return cls(data, whole, whole - data + _REFERENCE_BYTES)


def threshold(weights: Iterable[Weight], room: int) -> int | None:
    """From how many bytes of data on payloads must leave so that all fit; None when they do.

    When nothing helps, as many leave as possible.
    """
    heaviest_first = sorted(weights, key=lambda weight: weight.data, reverse=True)
    total = sum(weight.whole for weight in heaviest_first)
    found = None
    for weight in heaviest_first:
        if total <= room or weight.data < SMALLEST_OFFLOADED_BYTES:
            break
        total -= weight.whole - weight.left
        found = weight.data
    return found


def list_threshold(payloads: Sequence[Payload]) -> int | None:
    """The same for one argument list, which may have 2 MiB with everything."""
    return threshold(map(Weight.of, payloads), INLINE_LIMIT_BYTES)


def list_size(payloads: Iterable[Payload]) -> int:
    """Bytes of a list as the server counts them."""
    return sum(payload.ByteSize() + _FRAMING_BYTES for payload in payloads)


class Ledger:
    """What one message to the server holds so far."""

    def __init__(self, capacity: int = MESSAGE_BUDGET_BYTES) -> None:
        self._capacity = capacity
        self._spent = 0

    @property
    def room(self) -> int:
        """Bytes that may still be added."""
        return max(0, self._capacity - self._spent)

    @property
    def threshold(self) -> int:
        """From which size on a payload leaves that nobody announced."""
        return max(SMALLEST_OFFLOADED_BYTES, self.room // _SHARE)

    def reserve(self, sizes: Iterable[int]) -> None:
        """Keep room for what will be in the message."""
        self._spent += sum(sizes)

    def add(self, payloads: Iterable[Payload]) -> None:
        """Note what is in the message now."""
        self._spent += list_size(payloads)


def too_large(payloads: Sequence[Payload], *, remedy: str = _REMEDY) -> PayloadTooLargeError | None:
    """The error that says that one list is over the limit; None when it is not."""
    size = list_size(payloads)
    if size <= INLINE_LIMIT_BYTES:
        return None
    what = "the payload" if len(payloads) == 1 else f"a list of {len(payloads)} payloads"
    return PayloadTooLargeError(what, size=size, limit=INLINE_LIMIT_BYTES, remedy=remedy)


def too_large_unencoded(
    payloads: Sequence[Payload], encoder: PayloadEncoder
) -> PayloadTooLargeError | None:
    """The same for a list before it is encoded, by an encoder that offloads nothing."""
    if encoder.offloads or LENIENT.get() or list_size(payloads) <= INLINE_LIMIT_BYTES:
        return None
    # Compression may help, and is as good as certain to give the same size again.
    sizes = [
        Payload(metadata=payload.metadata, data=encoder.encode(payload.data, None).data)
        for payload in payloads
    ]
    return too_large(sizes)
