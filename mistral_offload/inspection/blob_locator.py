"""Finds blobs: searches every location that a worker with the same settings would, in its order."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import BlobNotFoundError, ConfigurationError
from mistral_offload.inspection.keys import BlobKey
from mistral_offload.storage.factory import open_store
from mistral_offload.storage.prefix import KeyPrefix
from mistral_offload.storage.store import BlobStore

if TYPE_CHECKING:
    from mistral_offload.environment.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class CandidateLocation:
    """A store, and the key under which it may hold a blob.

    Attributes:
        config: the store's configuration.
        store: the store without its prefix, so that its keys are those of the bucket.
        key: the key in the bucket, prefix included.
    """

    config: BlobStorageConfig
    store: BlobStore = field(repr=False)
    key: str

    def __str__(self) -> str:
        return f"{self.config.storage_provider.value} {self.config.container!r} as {self.key}"


@dataclass(frozen=True, slots=True)
class FoundBlob:
    """A blob that exists.

    Attributes:
        location: the location that holds it.
        size: in bytes.
        modified: the time of its last write.
    """

    location: CandidateLocation
    size: int
    modified: datetime


class BlobLocator:
    """Searches the stores of a worker for blobs.

    Args:
        settings: the worker's.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        payloads, fields = settings.payload_offloading, settings.field_offloading
        self._payloads = None if payloads is None else payloads.storage_config
        self._fields = None if fields is None else fields.storage_config
        self._stores: dict[BlobStorageConfig, BlobStore] = {}

    def candidates(self, key: BlobKey) -> list[CandidateLocation]:
        """Return the locations to search for a blob, in order.

        Raises:
            ConfigurationError: no store is configured for this kind of blob.
        """
        configs = self.own_stores(key)
        if not configs:
            group, kind = (
                ("ACTIVITY_ATTRIBUTES_OFFLOADING", "activity fields")
                if key.is_field
                else ("TEMPORAL_PAYLOAD_OFFLOADING", "payloads")
            )
            raise ConfigurationError(
                f"cannot search for key {key.text!r}: no storage is configured for {kind}. Set "
                f"{group}__STORAGE_CONFIG__… to the workers' values, in the environment or in a "
                "file passed with --config"
            )
        return [
            candidate
            for config in configs
            for each in (config, *config.read_also)
            for candidate in self._candidates_in(each, key)
        ]

    def own_stores(self, key: BlobKey) -> list[BlobStorageConfig]:
        """Return the stores that blobs of this kind are written to: two for files of clients."""
        stores = [self._fields if key.is_field else self._payloads]
        if key.is_file:
            stores.append(self._payloads)
        return list(dict.fromkeys(each for each in stores if each is not None))

    def require_prefix(self, prefix: str, key: BlobKey) -> None:
        """Check that the prefix given with a key is one of those searched.

        Raises:
            ConfigurationError: it is not.
        """
        candidates = self.candidates(key)
        if not any(candidate.key == prefix + key.text for candidate in candidates):
            raise ConfigurationError(
                f"key {prefix + key.text!r} does not match the locations searched: "
                f"{'; '.join(map(str, candidates))}. Fix the prefix of the store "
                "(…__STORAGE_CONFIG__PREFIX), or pass the key without its prefix, from temporal-… "
                "on"
            )

    async def find(self, key: BlobKey) -> FoundBlob:
        """Find a blob.

        Sends one request for each location until the blob is found, and two for each location that
        does not have it.

        Raises:
            BlobNotFoundError: no location has it.
            ConfigurationError: no store is configured for this kind of blob.
            StorageError: a location cannot be searched; later ones are not tried then.
        """
        candidates = self.candidates(key)
        for candidate in candidates:
            with suppress(BlobNotFoundError):
                return await _stat(candidate)
        first = candidates[0]
        others = "".join(f", nor in {candidate}" for candidate in candidates[1:])
        raise BlobNotFoundError(
            f"nothing is stored under this key{others}: it was deleted or has expired, was never "
            "written, or is in another bucket or under another prefix than configured here",
            provider=first.config.storage_provider.value,
            container=first.config.container,
            key=first.key,
        )

    def _candidates_in(
        self, config: BlobStorageConfig, key: BlobKey
    ) -> Iterator[CandidateLocation]:
        """Yield the key with the prefix joined as we join it, then as the official SDK does."""
        store = self._stores.get(config)
        if store is None:
            bare = config.model_copy(update={"prefix": None, "read_also": ()})
            store = self._stores[config] = open_store(bare)
        prefix = KeyPrefix(config.prefix)
        for physical in dict.fromkeys((prefix.join(key.text), prefix.join_as_official(key.text))):
            yield CandidateLocation(config, store, physical)


async def _stat(candidate: CandidateLocation) -> FoundBlob:
    try:
        stat = await candidate.store.stat_async(candidate.key)
    except BlobNotFoundError:
        # S3's response to a stat has no body, so it cannot tell a missing bucket from a missing
        # blob; its response to a get can.
        await candidate.store.get_async(candidate.key)
        stat = await candidate.store.stat_async(candidate.key)  # written in the meantime
    return FoundBlob(candidate, stat.size, stat.modified)
