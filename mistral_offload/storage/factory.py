"""Opens the store of a configuration: one per configuration and process."""

from __future__ import annotations

import os
import sys
import threading
from importlib.util import find_spec
from typing import NamedTuple
from weakref import WeakValueDictionary

from mistral_offload._config_arguments import require_config
from mistral_offload._storage_values import check_address, check_connection_string
from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.errors import MissingExtraError, StorageConfigError
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.cache_directory import CacheDirectory
from mistral_offload.storage.store import BlobStore

_lock = threading.Lock()
_stores: WeakValueDictionary[tuple[BlobStorageConfig, int], BlobStore] = WeakValueDictionary()
_caches: WeakValueDictionary[tuple[BlobStorageConfig, int], BlobCache] = WeakValueDictionary()


def open_store(config: BlobStorageConfig) -> BlobStore:
    """Open the store of a configuration; equal configurations share one store. Makes no request.

    A store lives as long as it is referenced; then its threads and connections are released. Drop
    it rather than close it: closing ends it for everyone who shares it, and the next call opens a
    new one.

    Example::

        store = open_store(BlobStorageConfig(storage_provider="s3", bucket_name="payloads"))
        store.put("greeting", b"hello")

    Raises:
        StorageConfigError: a setting is missing or cannot be used.
    """
    require_config(config, BlobStorageConfig, "config")
    key = (config, os.getpid())
    with _lock:
        store = _stores.get(key)
        if store is None or store.closed:
            store = _stores[key] = _create_store(config)
        return store


def open_cache(config: BlobStorageConfig) -> BlobCache:
    """Open the cache around a configuration's store, shared and released like the store.

    Raises:
        StorageConfigError: a setting is missing or cannot be used.
    """
    key = (config, os.getpid())
    store = open_store(config)
    read_also = tuple(open_store(other) for other in config.read_also)
    with _lock:
        cache = _caches.get(key)
        if cache is None or cache.store is not store:
            directory = None
            if config.cache_directory is not None:
                directory = CacheDirectory(
                    config.cache_directory, max_bytes=config.cache_directory_bytes
                )
            cache = _caches[key] = BlobCache(
                store,
                read_also=read_also,
                memory_bytes=config.cache_memory_bytes,
                directory=directory,
                renew_after_seconds=config.renew_after_seconds,
            )
        return cache


class _Extra(NamedTuple):
    """Packages that a provider needs, by their modules, and the extra that installs them."""

    purpose: str
    name: str
    modules: tuple[str, ...]


_EXTRAS = {
    StorageProvider.S3: _Extra("s3 storage", "s3", ("boto3", "tenacity")),
    StorageProvider.AZURE: _Extra("Azure storage", "azure", ("azure.storage.blob", "tenacity")),
    StorageProvider.GCS: _Extra(
        "Google Cloud Storage", "gcs", ("google.auth", "requests", "tenacity")
    ),
}


def require_usable(config: BlobStorageConfig) -> None:
    """Check what can be known of a configuration without a request and without its SDK.

    Raises:
        MissingExtraError: the packages of the provider are not installed.
        StorageConfigError: an address cannot be used.
    """
    for each in (config, *config.read_also):
        extra = _EXTRAS.get(each.storage_provider)
        if extra is not None and not all(map(_is_installed, extra.modules)):
            raise MissingExtraError(extra.purpose, extra.name)
        if each.azure_connection_string and each.storage_provider is StorageProvider.AZURE:
            check_connection_string(each.azure_connection_string.get_secret_value())
        elif each.storage_provider is StorageProvider.AZURE:
            from mistral_offload.storage._azure_client import check_account_url

            if not _is_installed("azure.identity"):
                raise MissingExtraError(_EXTRAS[StorageProvider.AZURE].purpose, "azure")
            check_account_url(each.azure_storage_account_url or "")
        elif each.storage_provider is StorageProvider.GCS:
            from mistral_offload.storage._gcs_client import endpoint_of

            endpoint_of(each)
        elif each.storage_provider is StorageProvider.S3:
            check_address("endpoint_url", each.endpoint_url)


def _is_installed(module: str) -> bool:
    if module in sys.modules:
        return True
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:  # the package that contains it
        return False


def _create_store(config: BlobStorageConfig) -> BlobStore:
    match config.storage_provider:
        case StorageProvider.S3:
            from mistral_offload.storage.s3 import S3Store

            return S3Store(config)
        case StorageProvider.AZURE:
            from mistral_offload.storage.azure import AzureStore

            return AzureStore(config)
        case StorageProvider.GCS:
            from mistral_offload.storage.gcs import GCSStore

            return GCSStore(config)
        case StorageProvider.LOCAL:
            from mistral_offload.storage.local import LocalStore

            if config.path is None:
                raise StorageConfigError("a local store needs path")
            return LocalStore(config.path, prefix=config.prefix, connections=config.connections)


def _reset_after_fork() -> None:
    """Replace the lock in a forked child, where another thread may have held it."""
    global _lock
    _lock = threading.Lock()
    _stores.clear()
    _caches.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_reset_after_fork)
