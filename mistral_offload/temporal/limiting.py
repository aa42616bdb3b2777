"""What cannot be delivered is refused where a workflow would notice.

Temporal tries a workflow task again and again whose answer is too large. Raised while a value is
converted, which happens in the workflow's own code, an error ends the workflow instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextvars import ContextVar

from temporalio.api.common.v1 import Payload

from mistral_offload.errors import PayloadTooLargeError
from mistral_offload.limits import INLINE_LIMIT_BYTES
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.budget import list_size

LENIENT: ContextVar[bool] = ContextVar("mistral_offload_lenient", default=False)
"""Set while failures are converted, which must succeed with whatever is in them."""

_REMEDY = (
    "Configure payload offloading: BlobStorageConfig(…) in PayloadOffloadingConfig, or the "
    "worker's TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__… variables."
)


def too_large(payloads: Sequence[Payload], *, remedy: str = _REMEDY) -> PayloadTooLargeError | None:
    """The error that says that one list is over the limit; None when it is not."""
    size = list_size(payloads)
    if size <= INLINE_LIMIT_BYTES:
        return None
    what = "the payload" if len(payloads) == 1 else f"a list of {len(payloads)} payloads"
    return PayloadTooLargeError(what, size=size, limit=INLINE_LIMIT_BYTES, remedy=remedy)


def undeliverable_list(
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
