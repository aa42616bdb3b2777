"""Where a blob lies: every place a worker with the same settings would look, in its order."""

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
class Place:
    """A place where a blob may lie.

    Attributes:
        config: of the store.
        store: without the prefix, so that its keys are those of the bucket.
        key: as the bucket has it, prefix included.
    """

    config: BlobStorageConfig
    store: BlobStore = field(repr=False)
    key: str

    def __str__(self) -> str:
        return f"{self.config.storage_provider.value} {self.config.container!r} as {self.key}"


@dataclass(frozen=True, slots=True)
class Location:
    """A blob that is there.

    Attributes:
        place: where.
        size: in bytes.
        modified: when it was written.
    """

    place: Place
    size: int
    modified: datetime


class Locator:
    """Looks for blobs in the stores of a worker.

    Args:
        settings: the worker's.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        payloads, fields = settings.payload_offloading, settings.field_offloading
        self._payloads = None if payloads is None else payloads.storage_config
        self._fields = None if fields is None else fields.storage_config
        self._stores: dict[BlobStorageConfig, BlobStore] = {}

    def places(self, key: BlobKey) -> list[Place]:
        """Where a blob is looked for, in this order.

        Raises:
            ConfigurationError: no store is configured for blobs of its kind.
        """
        config = self._fields if key.is_field else self._payloads
        if config is None:
            group, what = (
                ("ACTIVITY_ATTRIBUTES_OFFLOADING", "activity fields")
                if key.is_field
                else ("TEMPORAL_PAYLOAD_OFFLOADING", "payloads")
            )
            raise ConfigurationError(
                f"key {key.text!r} cannot be looked for, since no storage is configured for {what}"
                f": give {group}__STORAGE_CONFIG__… as the workers have it, in the environment or "
                "in a file with --config"
            )
        return [place for each in (config, *config.read_also) for place in self._places(each, key)]

    def require_prefix(self, prefix: str, key: BlobKey) -> None:
        """Make sure that a key was given with a prefix under which it is looked for.

        Raises:
            ConfigurationError: it has another one.
        """
        places = self.places(key)
        if not any(place.key == prefix + key.text for place in places):
            raise ConfigurationError(
                f"the key was given as {prefix + key.text!r}, but it is looked for in "
                f"{'; '.join(map(str, places))}: mend the prefix of the store "
                "(…__STORAGE_CONFIG__PREFIX), or give the key from temporal-… on"
            )

    async def find(self, key: BlobKey) -> Location:
        """Find a blob; one request for each place until it is found, two where it is not.

        Raises:
            BlobNotFoundError: it is nowhere.
            ConfigurationError: no store is configured for blobs of its kind.
            StorageError: a place cannot be looked at; others are not tried then.
        """
        places = self.places(key)
        for place in places:
            with suppress(BlobNotFoundError):
                return await _locate(place)
        first = places[0]
        others = "".join(f", nor in {place}" for place in places[1:])
        raise BlobNotFoundError(
            f"nothing is stored under this key{others}: it was deleted or has expired, was never "
            "written, or lies in another bucket or under another prefix than configured here",
            provider=first.config.storage_provider.value,
            container=first.config.container,
            key=first.key,
        )

    def _places(self, config: BlobStorageConfig, key: BlobKey) -> Iterator[Place]:
        """As we join the prefix, and as the official SDK does."""
        store = self._stores.get(config)
        if store is None:
            bare = config.model_copy(update={"prefix": None, "read_also": ()})
            store = self._stores[config] = open_store(bare)
        prefix = KeyPrefix(config.prefix)
        for physical in dict.fromkeys((prefix.join(key.text), prefix.join_as_official(key.text))):
            yield Place(config, store, physical)


async def _locate(place: Place) -> Location:
    try:
        stat = await place.store.stat_async(place.key)
    except BlobNotFoundError:
        # S3 answers that without a body, which would tell a missing bucket from a missing blob.
        await place.store.get_async(place.key)
        stat = await place.store.stat_async(place.key)  # it has come just now
    return Location(place, stat.size, stat.modified)
