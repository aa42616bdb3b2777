"""Blobs of an examination: written under keys of our own, and removed again.

They belong to an execution that does not exist, ``mistral-offload-doctor-<random>``, of the
namespace that workers use, so that permissions given by prefix hold for them as for real blobs.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Coroutine
from datetime import datetime, timezone
from typing import Any, TypeVar

from mistral_offload.doctor.configured_stores import Place
from mistral_offload.doctor.shared_facts import Facts
from mistral_offload.errors import BlobNotFoundError, StorageError, StorageUnavailableError
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
    """What is written into one place, and what is left of it.

    Nothing is opened before the first use. The store's own timeouts are shortened, so that its
    threads end soon after a check was given up.

    Attributes:
        place: where.
        config: how, with shortened timeouts.
        written_between: local times before and after the blob of `create` was written.
    """

    def __init__(self, place: Place, facts: Facts, *, timeout: float) -> None:
        self.place = place
        self.written_between: tuple[datetime, datetime] | None = None
        self._facts = facts
        self._name = f"mistral-offload-doctor-{secrets.token_hex(8)}"
        self._blob = f"{self._name} looked whether blobs can be written here.".encode()
        self.config = place.config.model_copy(
            update={
                "connect_timeout_seconds": min(place.config.connect_timeout_seconds, timeout / 2),
                "read_timeout_seconds": min(place.config.read_timeout_seconds, timeout / 2),
                "retry_seconds": min(place.config.retry_seconds, _LONGEST_RETRY_SECONDS),
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
            StorageConfigError: its settings cannot be used.
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
        """Of the blob that `create` writes."""
        return self.key_of(self._blob)

    @property
    def folder(self) -> str:
        """What the keys of all its blobs begin with."""
        return self.key.partition("sha256:")[0]

    @property
    def left(self) -> list[str]:
        """Physical keys that were written and not removed."""
        prefix = KeyPrefix(self.config.prefix)
        return [prefix.join(key) for key in self._left]

    def key_of(self, blob: bytes) -> str:
        """Where these bytes are kept."""
        context = self.context
        if self.place.root == FIELD_ROOT:
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
        """Remember a key that is about to be written, to be removed in the end."""
        if key not in self._left:
            self._left.append(key)

    async def write(self, writing: Coroutine[Any, Any, T]) -> T:
        """Await a write; one that is given up goes on in its thread, and `remove` waits for it."""
        task = asyncio.ensure_future(writing)
        self._writing.add(task)
        task.add_done_callback(self._writing.discard)
        return await asyncio.shield(task)

    async def put(self, blob: bytes) -> str:
        """Write a blob; returns its key."""
        key = self.key_of(blob)
        self.expect(key)
        try:
            await self.write(self.store.put_async(key, blob))
        except StorageUnavailableError:
            raise  # it may have been written, all the same
        except StorageError:
            self._left.remove(key)
            raise
        return key

    async def create(self) -> None:
        """Write the first blob, once."""
        if self.written_between is None:
            before = datetime.now(timezone.utc)
            await self.put(self._blob)
            self.written_between = before, datetime.now(timezone.utc)

    async def create_again(self) -> bool:
        """Write the first blob another time; says whether the store let it be replaced."""
        return await self.write(self.store.put_async(self.key, self._blob))

    async def is_readable(self) -> bool:
        """Whether the first blob comes back as it was."""
        return await self.store.get_async(self.key) == self._blob

    async def read_absent(self) -> None:
        """Ask for a blob that was never written.

        Raises:
            StorageError: the store says anything but that it is not there.
        """
        try:
            await self.store.get_async(self.key_of(_ABSENT))
        except BlobNotFoundError:
            return

    async def listed(self) -> set[str]:
        """The keys of the execution that the store lists."""
        return {blob.key async for blob in self.store.list_async(self.folder)}

    async def remove(self) -> int:
        """Remove all that was written; returns how many blobs. What cannot be removed is `left`.

        Raises:
            StorageError: the last of those that could not be removed.
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
