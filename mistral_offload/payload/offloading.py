"""Offloading: stores a large payload and returns the small reference that is sent instead.

The format of keys and references is in `reference`.
"""

from __future__ import annotations

from mistral_offload.config import PayloadOffloadingConfig
from mistral_offload.errors import (
    KeyTooLongError,
    OffloadingNotConfiguredError,
    ReferenceRefusedError,
)
from mistral_offload.limits import INLINE_LIMIT_BYTES
from mistral_offload.payload.context import BlobContext
from mistral_offload.payload.reference import Reference
from mistral_offload.storage import telemetry
from mistral_offload.storage.lazy_cache import LazyCache
from mistral_offload.storage.store import BlobStore

_SHOWN_ID_CHARACTERS = 100


class Offloader:
    """Offloads payloads to the store of one configuration, which is opened on first use.

    Args:
        config: the store, and the sizes from which payloads are offloaded.
        store: used instead of the configured store.
        largest_bytes: size in bytes above which a blob is not read.
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
        """The store; its threads do the work."""
        return self._blobs.open().store

    @property
    def history_floor_bytes(self) -> int:
        """Threshold in bytes of payloads that stay in a history while it is short."""
        return self._config.history_floor_bytes

    def should_offload(
        self, size: int, offload: bool | None, *, overhead: int = 0, floor: int | None = None
    ) -> bool:
        """Return True if a payload of this size is offloaded.

        Args:
            size: size of the payload in bytes.
            offload: True for any size, False for never, None to decide by size.
            overhead: bytes that would be added to the payload if it were sent in place.
            floor: threshold in bytes; used if it is lower than the configured one.
        """
        if offload is not None:
            return offload
        # The configured threshold applies only to payloads that can be delivered in place.
        floor = (
            self._config.min_size_bytes
            if floor is None
            else min(floor, self._config.min_size_bytes)
        )
        return size >= floor or size + overhead > INLINE_LIMIT_BYTES

    def put(self, blob: bytes, context: BlobContext, *, write: bool = True) -> bytes:
        """Store a blob, and return the JSON of its reference.

        With ``write=False`` the blob is assumed to be stored, and no request is made.

        Raises:
            KeyTooLongError: see `key_error`.
            StorageError: the blob could not be written.
        """
        cache = self._blobs.open()
        reference = Reference(context.namespace, context.execution_id, cache.digest_of(blob))
        if write:
            cache.put(reference.key, blob, reference.digest)
        return reference.to_json()

    def key_error(self, context: BlobContext) -> KeyTooLongError | None:
        """Return the error of offloading any payload of an owner; see the function `key_error`."""
        return key_error(self.store, context.namespace, context.execution_id)

    def get(self, reference: Reference, *, namespace: str | None = None) -> bytes:
        """Read the blob that a reference names.

        Args:
            reference: untrusted input.
            namespace: namespace that the blob must belong to, unless ``allow_other_namespaces`` is
                set.

        Raises:
            ReferenceRefusedError: the blob belongs to another namespace, or its key is too long for
                any store; no request was made.
            PayloadTooLargeError: the blob is larger than ``largest_bytes``.
            BlobNotFoundError: the blob was removed, or never written to this store.
            BlobCorruptedError: the stored bytes do not hash to the reference's digest.
            StorageError: the blob could not be read.
        """
        self._require_allowed(reference, namespace)
        return self._blobs.open().get(reference.key, reference.digest, largest=self._largest_bytes)

    def find_in_memory(self, reference: Reference, *, namespace: str | None = None) -> bytes | None:
        """Return the blob that a reference names if it is in memory; None if it has to be read.

        Raises:
            ReferenceRefusedError: as for `get`.
        """
        self._require_allowed(reference, namespace)
        self._blobs.open().require_readable(reference.key)
        return self._blobs.open().find_in_memory(reference.key, reference.digest)

    def _require_allowed(self, reference: Reference, namespace: str | None) -> None:
        if (
            namespace is not None
            and reference.namespace != namespace
            and not self._config.allow_other_namespaces
        ):
            raise ReferenceRefusedError(
                f"refused to read key {reference.key!r}: it belongs to namespace "
                f"{reference.namespace!r}, and this is {namespace!r}. If namespaces share a "
                "store and may read each other's payloads, set allow_other_namespaces "
                "(worker: TEMPORAL_PAYLOAD_OFFLOADING__ALLOW_OTHER_NAMESPACES=true)",
                key=reference.key,
            )


def key_error(store: BlobStore, namespace: str, execution_id: str | None) -> KeyTooLongError | None:
    """Return the error of storing any payload of an owner, or None if it is possible.

    The key contains the names, percent-encoded: an id of 170 characters that are not ASCII can be
    too long for a bucket. Makes no request.

    Args:
        store: the store to write to.
        namespace: the owner's namespace.
        execution_id: the owner's id; None for an unowned payload.
    """
    try:
        store.require_storable(Reference(namespace, execution_id, "0" * 64).key)
    except KeyTooLongError as error:
        kind, name = (
            ("namespace", namespace) if execution_id is None else ("execution", execution_id)
        )
        shown = repr(name[:_SHOWN_ID_CHARACTERS])
        if len(name) > _SHOWN_ID_CHARACTERS:
            shown += "…"
        return KeyTooLongError(
            f"payloads of {kind} {shown} cannot be offloaded, because its id of {len(name):,} "
            f"characters is too long: {error}. Use a shorter {kind} id, or one of ASCII letters "
            "and digits",
            size=error.size,
            limit=error.limit,
        )
    return None


def fetch_offloaded(
    data: bytes, offloader: Offloader | None, namespace: str | None = None
) -> bytes:
    """Read the blob of a reference's JSON; if a namespace is given, only from that one.

    Raises:
        PayloadDecodeError: the bytes are not the JSON of a reference.
        ReferenceRefusedError: the reference names a key it may not name.
        OffloadingNotConfiguredError: there is no offloader.
        StorageError: the blob was removed, is damaged, or could not be read.
    """
    try:
        reference = Reference.from_json(data)
        return _require(offloader, reference).get(reference, namespace=namespace)
    except ReferenceRefusedError:
        telemetry.count_refusal()
        raise


def find_offloaded(data: bytes, offloader: Offloader, namespace: str | None = None) -> bytes | None:
    """Return the blob of a reference's JSON if it is in memory; None if it has to be fetched.

    Raises:
        PayloadDecodeError: the bytes are not the JSON of a reference.
        ReferenceRefusedError: the reference names a key it may not name.
    """
    try:
        return offloader.find_in_memory(Reference.from_json(data), namespace=namespace)
    except ReferenceRefusedError:
        telemetry.count_refusal()
        raise


def _require(offloader: Offloader | None, reference: Reference) -> Offloader:
    if offloader is None:
        owner = (
            f"a payload of namespace {reference.namespace!r}"
            if reference.execution_id is None
            else f"the payload of execution {reference.execution_id!r}"
        )
        raise OffloadingNotConfiguredError(
            f"{owner} was offloaded to key {reference.key!r}, but no offloading is configured "
            "here: configure the storage it was written to (client: "
            "workflow_payload_offloading=…, worker: TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__…)"
        )
    return offloader
