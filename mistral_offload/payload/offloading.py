"""Large payloads go to the store; a small reference travels instead.

Where they are kept, and what a reference may name, is in `reference`.
"""

from __future__ import annotations

from mistral_offload.config import PayloadOffloadingConfig
from mistral_offload.errors import OffloadingNotConfiguredError, ReferenceRefusedError
from mistral_offload.limits import INLINE_LIMIT_BYTES
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.reference import Reference
from mistral_offload.storage import telemetry
from mistral_offload.storage.lazy_cache import LazyCache
from mistral_offload.storage.store import BlobStore


class Offloader:
    """Puts blobs into one store, which is opened on first use; ``store`` stands in for it.

    With ``largest_bytes`` a blob that is larger is not read.
    """

    def __init__(
        self,
        config: PayloadOffloadingConfig,
        store: BlobStore | None = None,
        *,
        largest_bytes: int | None = None,
    ) -> None:
        self._config = config
        self._largest_bytes = largest_bytes
        self._blobs = LazyCache(config.storage_config, store)

    @property
    def store(self) -> BlobStore:
        """The store, whose threads do the work."""
        return self._blobs.open().store

    def takes(
        self, size: int, offload: bool | None, *, overhead: int = 0, floor: int | None = None
    ) -> bool:
        """Whether a payload of this size goes to the store.

        Args:
            size: in bytes.
            offload: True whatever the size, False never, None by size.
            overhead: how much longer the payload would become if it stayed.
            floor: from which size it goes, when that is less than the user's floor.
        """
        if offload is not None:
            return offload
        # The user's floor holds only as long as the payload could be delivered in place.
        floor = (
            self._config.min_size_bytes
            if floor is None
            else min(floor, self._config.min_size_bytes)
        )
        return size >= floor or size + overhead > INLINE_LIMIT_BYTES

    def put(self, blob: bytes, context: PayloadContext, *, write: bool = True) -> bytes:
        """Store a blob under its execution, and write the reference to it.

        With ``write`` False the blob is taken to be there, and no request is made.

        Raises:
            StorageError: it could not be written.
        """
        reference = Reference.of(
            blob, namespace=context.namespace, execution_id=context.execution_id
        )
        if write:
            self._blobs.open().put(reference.key, blob, reference.digest)
        return reference.to_json()

    def get(self, reference: Reference, *, namespace: str | None = None) -> bytes:
        """Read the blob that a reference names.

        Args:
            reference: untrusted input.
            namespace: the one that its blobs must belong to, unless the configuration shares them.

        Raises:
            ReferenceRefusedError: it names a blob of another namespace; no request was made.
            PayloadTooLargeError: it is larger than this offloader reads.
            BlobNotFoundError: it is gone, or was never written to this storage.
            BlobCorruptedError: it is not what was offloaded.
            StorageError: it could not be read.
        """
        if (
            namespace is not None
            and reference.namespace != namespace
            and not self._config.allow_other_namespaces
        ):
            raise ReferenceRefusedError(
                f"refused to read key {reference.key!r}: it belongs to namespace "
                f"{reference.namespace!r}, and this is {namespace!r}. Where namespaces "
                "share a store and may read each other's payloads, set allow_other_namespaces "
                "(worker: TEMPORAL_PAYLOAD_OFFLOADING__ALLOW_OTHER_NAMESPACES=true)",
                key=reference.key,
            )
        return self._blobs.open().get(reference.key, reference.digest, largest=self._largest_bytes)


def fetch(data: bytes, offloader: Offloader | None, namespace: str | None = None) -> bytes:
    """The blob that a reference's JSON stands for; of one namespace only, if one is given.

    Raises:
        PayloadDecodeError: it is not the JSON of a reference.
        ReferenceRefusedError: it names a key it may not name.
        OffloadingNotConfiguredError: there is no offloader.
        StorageError: the blob is gone, damaged, or could not be read.
    """
    try:
        reference = Reference.from_json(data)
    except ReferenceRefusedError:
        telemetry.count_refusal()
        raise
    if offloader is None:
        raise OffloadingNotConfiguredError(
            f"the payload of execution {reference.execution_id!r} was offloaded to key "
            f"{reference.key!r}, but no offloading is configured here: give the storage it was "
            "written to (client: workflow_payload_offloading=…, worker: "
            "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__…)"
        )
    try:
        return offloader.get(reference, namespace=namespace)
    except ReferenceRefusedError:
        telemetry.count_refusal()
        raise
