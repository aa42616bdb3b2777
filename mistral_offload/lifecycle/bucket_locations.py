"""The buckets that hold blobs of this platform, and the prefixes they are stored under."""

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
class BucketLocation:
    """One bucket, and the prefixes of our keys in it.

    Attributes:
        config: how to reach it; if two settings name one bucket, the first of them.
        prefixes: prefixes of our physical keys (prefix of the store included).
    """

    config: BlobStorageConfig
    prefixes: tuple[str, ...]


def find_bucket_locations(
    payloads: PayloadOffloadingConfig | None,
    fields: FieldOffloadingConfig | None,
    *,
    namespaces: Iterable[str] = (),
    read_also: bool = False,
) -> list[BucketLocation]:
    """Return the buckets named by the two settings, each once.

    Args:
        payloads: offloading of whole payloads.
        fields: offloading of activity fields.
        namespaces: namespaces to return a prefix for; if empty, one prefix covers all.
        read_also: True to include buckets that are only read from.
    """
    stores: list[tuple[BlobStorageConfig, str]] = []
    if payloads is not None:
        stores.append((payloads.storage_config, PAYLOAD_ROOT))
    if fields is not None:
        stores.append((fields.storage_config, FIELD_ROOT))
    if payloads is not None:  # files that clients send are there, too
        stores.append((payloads.storage_config, FIELD_ROOT))
    names = list(namespaces)
    found: dict[tuple[str | None, ...], BucketLocation] = {}
    for store, root in stores:
        for config in (store, *(store.read_also if read_also else ())):
            bucket = _bucket_identity(config)
            location = found.get(bucket, BucketLocation(config, ()))
            prefixes = (*location.prefixes, *prefixes_of(config, root, names))
            found[bucket] = BucketLocation(location.config, tuple(dict.fromkeys(prefixes)))
    return list(found.values())


def prefixes_of(config: BlobStorageConfig, root: str, namespaces: Iterable[str]) -> list[str]:
    """Return the prefixes of physical keys below a root: one per namespace, or one for all."""
    physical_prefix = KeyPrefix(config.prefix).physical_prefix
    prefixes = [physical_prefix(f"{root}/{quote(name, safe='')}/") for name in namespaces]
    return prefixes or [physical_prefix(f"{root}/")]


def _bucket_identity(config: BlobStorageConfig) -> tuple[str | None, ...]:
    """Return a value that is equal for two settings of one bucket; ignores prefix, credentials."""
    account = account_name(config) if config.storage_provider is StorageProvider.AZURE else None
    return (config.storage_provider.value, config.container, config.endpoint_url, account)
