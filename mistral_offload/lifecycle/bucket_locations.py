"""Which buckets hold what this platform stores, and under which prefixes."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import quote

from mistral_offload.config import (
    BlobStorageConfig,
    FieldOffloadingConfig,
    PayloadOffloadingConfig,
    StorageProvider,
)
from mistral_offload.lifecycle.azure import account_name
from mistral_offload.payload.field_reference import FIELD_ROOT
from mistral_offload.payload.reference import PAYLOAD_ROOT
from mistral_offload.storage.prefix import KeyPrefix


@dataclass(frozen=True, slots=True)
class Place:
    """One bucket, and what in it is ours.

    Attributes:
        config: how to reach it; where two settings name one bucket, the first of them.
        prefixes: what our keys in it begin with, prefix of the store included.
    """

    config: BlobStorageConfig
    prefixes: tuple[str, ...]


def find_places(
    payloads: PayloadOffloadingConfig | None,
    fields: FieldOffloadingConfig | None,
    *,
    namespaces: Iterable[str] = (),
    read_also: bool = False,
) -> list[Place]:
    """The buckets that two settings name, each once.

    Args:
        payloads: offloading of whole payloads.
        fields: offloading of activity fields.
        namespaces: a prefix for each of them; without any, one for all.
        read_also: whether to count buckets that are only read from.
    """
    stores: list[tuple[BlobStorageConfig, str]] = []
    if payloads is not None:
        stores.append((payloads.storage_config, PAYLOAD_ROOT))
    if fields is not None:
        stores.append((fields.storage_config, FIELD_ROOT))
    names = list(namespaces)
    found: dict[tuple[str | None, ...], Place] = {}
    for store, root in stores:
        for config in (store, *(store.read_also if read_also else ())):
            bucket = _identity(config)
            place = found.get(bucket, Place(config, ()))
            prefixes = (*place.prefixes, *prefixes_of(config, root, names))
            found[bucket] = Place(place.config, tuple(dict.fromkeys(prefixes)))
    return list(found.values())


def prefixes_of(config: BlobStorageConfig, root: str, namespaces: Iterable[str]) -> list[str]:
    """What the keys below a root begin with: one prefix a namespace, or one for all."""
    start = KeyPrefix(config.prefix).start
    each = [start(f"{root}/{quote(name, safe='')}/") for name in namespaces]
    return each or [start(f"{root}/")]


def _identity(config: BlobStorageConfig) -> tuple[str | None, ...]:
    """Equal for settings of one bucket, whatever prefix or credentials they have."""
    account = account_name(config) if config.storage_provider is StorageProvider.AZURE else None
    return (config.storage_provider.value, config.container, config.endpoint_url, account)
