"""From a configuration to its store: one per configuration and process."""

from __future__ import annotations

import os
import threading
from weakref import WeakValueDictionary

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.errors import StorageConfigError
from mistral_offload.storage.azure import AzureStore
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.cache_directory import CacheDirectory
from mistral_offload.storage.gcs import GCSStore
from mistral_offload.storage.local import LocalStore
from mistral_offload.storage.s3 import S3Store
from mistral_offload.storage.store import BlobStore

_lock = threading.Lock()
_stores: WeakValueDictionary[tuple[BlobStorageConfig, int], BlobStore] = WeakValueDictionary()
_caches: WeakValueDictionary[tuple[BlobStorageConfig, int], BlobCache] = WeakValueDictionary()


def open_store(config: BlobStorageConfig) -> BlobStore:
    """The store of a configuration; every caller with an equal one gets the same store.

    It lives as long as somebody refers to it, then its threads and connections are given up. So
    drop it rather than close it: a close ends it for all who share it, and the next call makes
    another one. No request is made here.

    Raises:
        StorageConfigError: a setting is missing or cannot be used.
    """
    key = (config, os.getpid())
    with _lock:
        store = _stores.get(key)
        if store is None or store.closed:
            store = _stores[key] = _make(config)
        return store


def open_cache(config: BlobStorageConfig) -> BlobCache:
    """The cache around the store of a configuration, shared and released like the store.

    Raises:
        StorageConfigError: a setting is missing or cannot be used.
    """
    key = (config, os.getpid())
    store = open_store(config)
    also = tuple(open_store(other) for other in config.read_also)
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
                read_also=also,
                memory_bytes=config.cache_memory_bytes,
                directory=directory,
            )
        return cache


def _make(config: BlobStorageConfig) -> BlobStore:
    match config.storage_provider:
        case StorageProvider.S3:
            return S3Store(config)
        case StorageProvider.AZURE:
            return AzureStore(config)
        case StorageProvider.GCS:
            return GCSStore(config)
        case StorageProvider.LOCAL:
            if config.path is None:
                raise StorageConfigError("a local store needs path")
            return LocalStore(config.path, prefix=config.prefix, connections=config.connections)


def _forget() -> None:
    """Start anew in a forked child, where another thread may have held the lock."""
    global _lock
    _lock = threading.Lock()
    _stores.clear()
    _caches.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
