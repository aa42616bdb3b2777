"""A blob cache that is opened on first use, so that its owner's constructor does no I/O."""

from __future__ import annotations

import threading

from mistral_offload import _forks
from mistral_offload.config import BlobStorageConfig
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.factory import open_cache, require_usable
from mistral_offload.storage.store import BlobStore


class LazyCache:
    """Opens the shared cache of a configuration once, on the first call from any thread.

    Args:
        config: the storage to open.
        store: used instead of opening ``config``, with a cache of its own.

    Raises:
        MissingExtraError: the packages of the configured provider are not installed.
        StorageConfigError: a setting cannot be used.
    """

    def __init__(self, config: BlobStorageConfig | None, store: BlobStore | None = None) -> None:
        if config is None and store is None:
            raise ValueError("a configuration or a store is needed")
        if config is not None and store is None:
            require_usable(config)
        self._config = config
        self._opens = store is None
        self._lock = threading.Lock()
        self._cache: BlobCache | None = None
        self._inherited: BlobCache | None = None
        _forks.register(self)
        if store is not None:
            if config is None:
                self._cache = BlobCache(store)
            else:
                self._cache = BlobCache(
                    store,
                    memory_bytes=config.cache_memory_bytes,
                    renew_after_seconds=config.renew_after_seconds,
                )

    def begin_anew(self) -> None:
        """Open the configured store anew in a forked child; a given one refuses to work there."""
        self._lock = threading.Lock()
        if self._cache is not None and self._opens:
            self._inherited, self._cache = self._cache, None

    def open(self) -> BlobCache:
        """Return the cache, opening it on the first call.

        Raises:
            StorageConfigError: a setting is missing or cannot be used.
        """
        if self._cache is None:
            with self._lock:
                if self._cache is None:
                    assert self._config is not None  # noqa: S101 - the constructor checked
                    self._cache = open_cache(self._config)
        return self._cache
