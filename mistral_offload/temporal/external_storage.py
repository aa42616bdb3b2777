"""A driver for Temporal's own external storage, on any store of this package.

Temporal chooses the payloads to store and keeps the references. The driver keeps the blobs in S3,
Azure, Google Cloud Storage or a directory, with this package's cache, connection pools and retries.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    StorageDriver,
    StorageDriverClaim,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
)

from mistral_offload._config_arguments import require_config
from mistral_offload._gather import gather_or_cancel
from mistral_offload._native_threads import wait_for_native_threads_at_exit
from mistral_offload.config import BlobStorageConfig, LostBlobConfig
from mistral_offload.errors import (
    BlobNotFoundError,
    ConfigurationError,
    MistralOffloadError,
    PayloadDecodeError,
    ReferenceRefusedError,
)
from mistral_offload.payload.offloading import key_error
from mistral_offload.payload.reference import Reference
from mistral_offload.storage.lazy_cache import LazyCache
from mistral_offload.storage.store import BlobStore
from mistral_offload.temporal.failures.awaited_payloads import warn_of_awaited
from mistral_offload.temporal.failures.lost_payloads import as_failure, is_lasting
from mistral_offload.temporal.outbound.sdk_internals import worker_namespace

_KEY = "key"


class BlobStorageDriver(StorageDriver):
    """A storage driver for ``temporalio.converter.ExternalStorage``, which is experimental.

    Blobs are serialized payloads. Their key names the execution they belong to, and their content
    is verified against it when they are read. The store is opened on first use.

    Example:
        ``DataConverter(external_storage=ExternalStorage(drivers=[BlobStorageDriver(config)]))``

    Args:
        config: the bucket or directory for blobs.
        store: a store, instead of a configuration.
        name: distinguishes several drivers. References contain it, so do not change it later.
        namespaces: the Temporal namespaces whose blobs may be read; all if not given.
        namespace: the namespace of payloads for which Temporal names no execution, such as what is
            sent by task token. Not needed with exactly one of ``namespaces``.
        lost_blobs: conditions under which a worker ends an execution because a blob is missing.

    Raises:
        ConfigurationError: neither or both of configuration and store are given, or ``namespace``
            is not one of ``namespaces``.
    """

    def __init__(
        self,
        config: BlobStorageConfig | None = None,
        *,
        store: BlobStore | None = None,
        name: str = "mistral-offload",
        namespaces: Collection[str] | None = None,
        namespace: str | None = None,
        lost_blobs: LostBlobConfig = LostBlobConfig(),
    ) -> None:
        if (config is None) == (store is None):
            raise ConfigurationError("BlobStorageDriver needs either a configuration or a store")
        require_config(config, BlobStorageConfig, "config")
        self._blobs = LazyCache(config, store)
        self._name = name
        self._lost_blobs = lost_blobs
        self._namespaces = None if namespaces is None else frozenset(namespaces)
        if namespace is not None and self._namespaces and namespace not in self._namespaces:
            raise ConfigurationError(
                f"namespace {namespace!r} of BlobStorageDriver is not one of its namespaces, so "
                "the driver could not read what it stores there"
            )
        self._namespace = namespace
        if namespace is None and self._namespaces is not None and len(self._namespaces) == 1:
            [self._namespace] = self._namespaces

    def name(self) -> str:
        """Return the name that references contain."""
        return self._name

    def type(self) -> str:
        """Return the type of driver, the same for every instance."""
        return "mistral-offload.blob-store"

    async def store(
        self, context: StorageDriverStoreContext, payloads: Sequence[Payload]
    ) -> list[StorageDriverClaim]:
        """Store payloads concurrently and return a claim for each.

        Raises:
            ConfigurationError: Temporal names no execution, and the namespace is unknown.
            KeyTooLongError: the id of the execution is too long for the store.
            StorageError: a payload could not be written.
        """
        target = context.target
        namespace = target.namespace if target else self._own_namespace()
        execution_id = (target.id if target else None) or None

        def put(payload: Payload) -> StorageDriverClaim:
            error = key_error(blobs.store, namespace, execution_id)
            if error is not None:
                raise error
            blob = payload.SerializeToString(deterministic=True)
            reference = Reference.of(blob, namespace=namespace, execution_id=execution_id)
            blobs.put(reference.key, blob, reference.digest)
            return StorageDriverClaim({_KEY: reference.key})

        wait_for_native_threads_at_exit()
        blobs = self._blobs.open()
        return await gather_or_cancel([blobs.store.run_async(put, payload) for payload in payloads])

    async def retrieve(
        self, context: StorageDriverRetrieveContext, claims: Sequence[StorageDriverClaim]
    ) -> list[Payload]:
        """Read payloads concurrently.

        Raises:
            ApplicationError: a payload will never be readable; not retryable.
            StorageError: a payload could not be read this time, or its blob is missing and does
                not count as lost.
        """

        def get(claim: StorageDriverClaim) -> Payload:
            reference = self._reference(claim)
            try:
                return Payload.FromString(blobs.get(reference.key, reference.digest))
            except MistralOffloadError as error:
                if is_lasting(error, self._lost_blobs):
                    raise as_failure(error) from None
                if isinstance(error, BlobNotFoundError):
                    warn_of_awaited(error, reference.execution_id, self._lost_blobs)
                raise

        wait_for_native_threads_at_exit()
        blobs = self._blobs.open()
        return await gather_or_cancel([blobs.store.run_async(get, claim) for claim in claims])

    def _own_namespace(self) -> str:
        """Return the namespace of payloads for which Temporal names no execution."""
        namespace = worker_namespace() or self._namespace
        if namespace is not None and self._may_read(namespace):
            return namespace
        if self._namespaces is None:
            return ""  # as readable as any other
        raise ConfigurationError(
            "Temporal names no execution for a payload, as when it is sent through an activity "
            "handle by task token, so BlobStorageDriver needs the namespace to store it in: pass "
            "namespace=…, one of namespaces"
        )

    def _may_read(self, namespace: str) -> bool:
        return self._namespaces is None or namespace in self._namespaces

    def _reference(self, claim: StorageDriverClaim) -> Reference:
        key = claim.claim_data.get(_KEY)
        try:
            if key is None:
                raise PayloadDecodeError("a claim of external storage has no key")
            reference = Reference.from_key(key)
            if self._namespaces is not None and not self._may_read(reference.namespace):
                raise ReferenceRefusedError(
                    f"refused to read key {key!r}: it belongs to namespace "
                    f"{reference.namespace!r}, and the driver may only read namespaces "
                    f"{', '.join(sorted(self._namespaces))}",
                    key=key,
                )
        except MistralOffloadError as error:
            raise as_failure(error) from None
        return reference
