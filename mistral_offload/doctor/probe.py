"""The blobs that checks write to a store, and remove again.

They belong to an execution that does not exist, ``mistral-offload-doctor-<random>``, in the
namespace of the workers, so that permissions granted by prefix apply to them as to real blobs.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from datetime import datetime, timezone
from typing import Any, TypeVar

from mistral_offload.doctor.configured_stores import ConfiguredStore
from mistral_offload.doctor.findings import SharedFacts
from mistral_offload.errors import (
    BlobNotFoundError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.field_reference import FIELD_ROOT, ContentForm, FieldReference
from mistral_offload.payload.reference import Reference
from mistral_offload.storage.factory import open_store
from mistral_offload.storage.prefix import KeyPrefix
from mistral_offload.storage.store import BlobStore

T = TypeVar("T")

_LONGEST_RETRY_SECONDS = 1.0
_ABSENT = b"never written"


class Probe:
    """Writes blobs to one store, and keeps track of those to remove.

    The store is opened on first use. Its own timeouts are shortened, so that its threads end soon
    after a check has timed out.

    Attributes:
        target: the store.
        config: the store's configuration, with shortened timeouts.
        written_between: local times before and after `create` wrote its blob; None before that.
    """

    def __init__(self, target: ConfiguredStore, facts: SharedFacts, *, timeout: float) -> None:
        self.target = target
        self.written_between: tuple[datetime, datetime] | None = None
        self._facts = facts
        self._name = f"mistral-offload-doctor-{secrets.token_hex(8)}"
        self._blob = f"{self._name} checked whether it can write blobs.".encode()
        self.config = target.config.model_copy(
            update={
                "connect_timeout_seconds": min(target.config.connect_timeout_seconds, timeout / 2),
                "read_timeout_seconds": min(target.config.read_timeout_seconds, timeout / 2),
                "retry_seconds": min(target.config.retry_seconds, _LONGEST_RETRY_SECONDS),
            }
        )
        self._opened: BlobStore | None = None
        self._left: list[str] = []
        self._timeout = timeout
        self._writing: set[asyncio.Future[Any]] = set()

    @property
    def store(self) -> BlobStore:
        """The store, opened on first use.

        Raises:
            StorageConfigError: its settings are invalid.
        """
        if self._opened is None:
            self._opened = open_store(self.config)
        return self._opened

    @property
    def context(self) -> PayloadContext:
        """The execution that the blobs belong to."""
        return PayloadContext(self._facts.namespace, self._name)

    @property
    def key(self) -> str:
        """Key of the blob that `create` writes."""
        return self.key_of(self._blob)

    @property
    def folder(self) -> str:
        """Common beginning of the keys of all its blobs."""
        return self.key.partition("sha256:")[0]

    @property
    def left(self) -> list[str]:
        """Keys in the bucket, prefix included, that were written and not removed."""
        prefix = KeyPrefix(self.config.prefix)
        return [prefix.join(key) for key in self._left]

    def key_of(self, blob: bytes) -> str:
        """Return the key under which a blob is stored."""
        context = self.context
        if self.target.root == FIELD_ROOT:
            return FieldReference.of(
                blob,
                namespace=context.namespace,
                run_id=context.execution_id,
                field="probe",
                form=ContentForm.BYTES,
                size=len(blob),
            ).key
        return Reference.of(
            blob, namespace=context.namespace, execution_id=context.execution_id
        ).key

    def expect(self, key: str) -> None:
        """Record a key that is about to be written, so that `remove` deletes it."""
        if key not in self._left:
            self._left.append(key)

    async def write(self, writing: Coroutine[Any, Any, T]) -> T:
        """Await a write; if it is cancelled it continues in its thread, and `remove` waits."""
        task = asyncio.ensure_future(writing)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return await asyncio.shield(task)

    async def put(self, blob: bytes) -> str:
        """Write a blob, and return its key."""
        key = self.key_of(blob)
        self.expect(key)
        try:
            await self.write(self.store.put_async(key, blob))
        except StorageUnavailableError:
            raise  # the blob may have been written nevertheless
        except StorageError:
            self._left.remove(key)
            raise
        return key

    async def create(self) -> None:
        """Write the first blob, unless that was done."""
        if self.written_between is None:
            before = datetime.now(timezone.utc)
            await self.put(self._blob)
            self.written_between = before, datetime.now(timezone.utc)

    async def create_again(self) -> bool:
        """Write the first blob again; return True if the store let it be overwritten."""
        return await self.write(self.store.put_async(self.key, self._blob))

    async def is_readable(self) -> bool:
        """Return True if the first blob reads back unchanged."""
        return await self.store.get_async(self.key) == self._blob

    async def read_absent(self) -> None:
        """Read a blob that was never written.

        Raises:
            StorageError: the store fails in any other way than by not finding it.
        """
        try:
            found = await self.store.get_async(self.key_of(_ABSENT))
        except BlobNotFoundError:
            return
        if found != _ABSENT:
            raise StorageConfigError(
                f"{self.target.config.description} is not a store: it sends {len(found):,} bytes "
                "for a blob that was never written. Fix the endpoint, or whatever responds in "
                "its place"
            )

    async def listed(self) -> set[str]:
        """Return the keys of the probe's blobs that the store lists."""
        return {blob.key async for blob in self.store.list_async(self.folder)}

    async def remove(self) -> int:
        """Delete all written blobs and return their number; those that fail stay in `left`.

        Raises:
            StorageError: the error of the last deletion that failed.
        """
        if self._writing:
            await asyncio.wait(self._writing, timeout=self._timeout)
        keys = tuple(self._left)
        outcomes = await asyncio.gather(*map(self._remove, keys), return_exceptions=True)
        failures = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        if failures:
            raise failures[-1]
        return len(keys)

    async def _remove(self, key: str) -> None:
        await self.store.delete_async(key)
        self._left.remove(key)
