"""The blobs in a worker's configured stores. Objects that are not ours are skipped."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING
from urllib.parse import quote

from typing_extensions import Self

from mistral_offload.cleanup.owners import Blob, Owner, OwnerKind
from mistral_offload.payload.field_reference import FIELD_ROOT
from mistral_offload.payload.reference import PAYLOAD_ROOT
from mistral_offload.storage.factory import open_store
from mistral_offload.storage.prefix import KeyPrefix
from mistral_offload.storage.store import BlobStore

if TYPE_CHECKING:
    from mistral_offload.environment.settings import WorkerSettings


@dataclass(frozen=True, slots=True)
class _StoreFolder:
    """The folder of a store that holds all payloads or all activity fields.

    Attributes:
        prefix: the part of stored keys before the root, with its slash.
        root: `PAYLOAD_ROOT` or `FIELD_ROOT`.
        kinds: the owners that are listed; others belong to another configuration.
    """

    store: BlobStore
    prefix: str
    root: str
    kinds: frozenset[OwnerKind] = frozenset(OwnerKind)


class Inventory:
    """Lists blobs by owner, from every folder that may hold them, each folder once.

    Listings are streamed: only one page at a time is in memory, however many blobs there are.
    """

    def __init__(self, folders: Iterable[_StoreFolder]) -> None:
        self._folders = tuple(folders)

    @classmethod
    def of(cls, settings: WorkerSettings, *, read_also: bool = False) -> Self:
        """Return the inventory of a worker's stores; they are opened at first use.

        Args:
            settings: the worker's.
            read_also: include the stores of ``read_also``.

        Raises:
            ConfigurationError: no store is configured, or a configuration is invalid.
        """
        settings.require_store()
        payloads, fields = settings.payload_offloading, settings.field_offloading
        wanted = [
            (config.storage_config, root, frozenset(OwnerKind))
            for config, root in ((payloads, PAYLOAD_ROOT), (fields, FIELD_ROOT))
            if config is not None
        ]
        if payloads is not None:
            # Files of clients; and those of activities, if there is no store for fields.
            kinds = frozenset(OwnerKind) if fields is None else frozenset({OwnerKind.EXECUTION})
            wanted.append((payloads.storage_config, FIELD_ROOT, kinds))
        if read_also:
            wanted += [
                (other, root, kinds) for config, root, kinds in wanted for other in config.read_also
            ]
        folders: dict[tuple[object, ...], _StoreFolder] = {}
        for config, root, kinds in wanted:
            bare = config.model_copy(update={"prefix": None, "read_also": ()})
            for prefix in _prefixes(config.prefix, root):
                bucket = (config.storage_provider, config.container, config.endpoint_url)
                folder = _StoreFolder(open_store(bare), prefix, root, kinds)
                folders.setdefault((*bucket, prefix, root), folder)
        return cls(folders.values())

    def blobs(self, *, namespace: str | None = None) -> Iterator[Blob]:
        """Yield all blobs, or those of one namespace, in the order of the stores.

        Raises:
            StorageError: a store cannot be listed.
        """
        below = "" if namespace is None else quote(namespace, safe="") + "/"
        for folder in self._folders:
            yield from _list(folder, f"{folder.root}/{below}")

    def blobs_of(self, owner: Owner) -> Iterator[Blob]:
        """Yield the blobs of one owner.

        Raises:
            StorageError: a store cannot be listed.
        """
        for folder in self._folders:
            for start in owner.key_prefixes:
                if start.startswith(f"{folder.root}/"):
                    yield from _list(folder, start)


def _list(folder: _StoreFolder, start: str) -> Iterator[Blob]:
    for found in folder.store.list(folder.prefix + start):
        owner = Owner.of(found.key.removeprefix(folder.prefix))
        if owner is not None and owner.kind in folder.kinds:
            yield Blob(folder.store, found.key, found.size, found.modified, owner)


def _prefixes(given: str | None, root: str) -> Iterator[str]:
    """Yield the text before a root in stored keys: as we join a prefix, and as the official SDK.

    Leaves out the bare root, where the official SDK stores a key that begins with the same letters
    as the prefix: blobs there may belong to a configuration without a prefix.
    """
    prefix = KeyPrefix(given)
    ours = prefix.join(root).removesuffix(root)
    yield ours
    official = prefix.join_as_official(root).removesuffix(root)
    if official not in ("", ours):
        yield official
