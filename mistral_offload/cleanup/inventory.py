"""The blobs in the stores that a worker is configured for. What is not ours is passed over."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from typing_extensions import Self

from mistral_offload.cleanup.owners import Blob, Owner
from mistral_offload.errors import ConfigurationError
from mistral_offload.payload.field_reference import FIELD_ROOT
from mistral_offload.payload.reference import PAYLOAD_ROOT
from mistral_offload.storage.factory import open_store
from mistral_offload.storage.prefix import KeyPrefix
from mistral_offload.storage.store import BlobStore

if TYPE_CHECKING:
    from mistral_offload.environment.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class _Place:
    store: BlobStore
    prefix: str
    """What stands before the keys, with its slash."""
    root: str


class Inventory:
    """Blobs by owner, from every place they may be in, each place once.

    Listings are streams: one page at a time is in memory, whatever the number of blobs.
    """

    def __init__(self, places: Iterable[_Place]) -> None:
        self._places = tuple(places)

    @classmethod
    def of(cls, settings: WorkerSettings, *, read_also: bool = False) -> Self:
        """The inventory of a worker's stores; nothing is opened before the first use.

        Args:
            settings: the worker's.
            read_also: whether to look into the stores of ``read_also`` as well.

        Raises:
            ConfigurationError: no store is configured, or one wrongly.
        """
        payloads, fields = settings.payload_offloading, settings.field_offloading
        wanted = [
            (config.storage_config, root)
            for config, root in ((payloads, PAYLOAD_ROOT), (fields, FIELD_ROOT))
            if config is not None
        ]
        if not wanted:
            raise ConfigurationError(
                "no storage is configured: give TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__… or "
                "ACTIVITY_ATTRIBUTES_OFFLOADING__STORAGE_CONFIG__…, as the workers have them"
            )
        if read_also:
            wanted += [(other, root) for config, root in wanted for other in config.read_also]
        places: dict[tuple[object, ...], _Place] = {}
        for config, root in wanted:
            bare = config.model_copy(update={"prefix": None, "read_also": ()})
            for prefix in _prefixes(config.prefix, root):
                where = (config.storage_provider, config.container, config.endpoint_url, prefix)
                place = _Place(open_store(bare), prefix, root)
                places.setdefault((*where, root), place)
        return cls(places.values())

    def blobs(self, *, namespace: str | None = None) -> Iterator[Blob]:
        """All blobs, or those of one namespace, in the order of the stores.

        Raises:
            StorageError: a store cannot be listed.
        """
        below = "" if namespace is None else quote(namespace, safe="") + "/"
        for place in self._places:
            yield from _listed(place, f"{place.root}/{below}")

    def blobs_of(self, owner: Owner) -> Iterator[Blob]:
        """The blobs of one owner.

        Raises:
            StorageError: a store cannot be listed.
        """
        for place in self._places:
            if owner.start.startswith(f"{place.root}/"):
                yield from _listed(place, owner.start)


def _listed(place: _Place, start: str) -> Iterator[Blob]:
    for found in place.store.list(place.prefix + start):
        owner = Owner.of(found.key.removeprefix(place.prefix))
        if owner is not None:
            yield Blob(place.store, found.key, found.size, found.modified, owner)


def _prefixes(given: str | None, root: str) -> Iterator[str]:
    """Where keys of a root begin: as we join a prefix, and as the official SDK does.

    Not the bare root, where that SDK puts a key which begins with the same letters as the prefix:
    what is there may be of a configuration without a prefix.
    """
    prefix = KeyPrefix(given)
    ours = prefix.join(root).removesuffix(root)
    yield ours
    official = prefix.join_as_official(root).removesuffix(root)
    if official not in ("", ours):
        yield official
