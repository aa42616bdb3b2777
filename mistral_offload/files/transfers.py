"""Stores the files of a value, and gives stored ones access to the store."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

from mistral_offload._gather import gather_or_cancel
from mistral_offload._synchronization import for_each
from mistral_offload.files.file import OffloadableFile
from mistral_offload.files.file_store import FileStore, Uploaded
from mistral_offload.files.source import FileSource
from mistral_offload.limits import MIB
from mistral_offload.payload.traversal import find_instances, map_instances, replace_instances

_CONCURRENT_FILES = 2
"""Files of one value that are stored at a time; each uses several connections."""

_SMALL_FILE_BYTES = MIB
_CONCURRENT_SMALL_FILES = 16
"""Files of one value of at most this size that are stored at a time; each uses one connection."""


def bind_files(value: Any, store: FileStore) -> Any:
    """Return the value with its files able to read from a store."""
    return map_instances(value, OffloadableFile, lambda _, file: file.bound_to(store))


def unstored_files(value: Any) -> list[OffloadableFile]:
    """Return the files in a value that are not stored yet."""
    found = find_instances(value, OffloadableFile)
    return [file for _, file in found if file.source is not None]


async def store_files_async(value: Any, store: FileStore, root: str) -> Any:
    """Return the value with all of its files in the store; a file that is there is left alone.

    Args:
        value: anything; files are found in models, dataclasses and collections.
        store: where the files are stored.
        root: beginning of the keys, owner included.

    Raises:
        FileError: a local file cannot be read, changed while it was read, or is too large.
        StorageError: a chunk could not be stored.
    """
    found = [file for _, file in find_instances(value, OffloadableFile)]
    places = asyncio.Semaphore(_CONCURRENT_FILES)
    small_places = asyncio.Semaphore(_CONCURRENT_SMALL_FILES)

    async def upload(source: FileSource) -> Uploaded:
        async with small_places if _is_small(source) else places:
            return await store.upload_async(source, root)

    sources = _distinct_sources(found)
    uploaded = await gather_or_cancel([upload(source) for source in sources])
    by_source = {id(source): each for source, each in zip(sources, uploaded, strict=True)}
    return _with_uploaded(value, found, by_source, store)


def store_files(value: Any, store: FileStore, root: str) -> Any:
    """Sync form of `store_files_async`; only small files are stored several at a time."""
    found = [file for _, file in find_instances(value, OffloadableFile)]
    sources = _distinct_sources(found)
    uploaded: dict[int, Uploaded] = {}

    def upload(source: FileSource) -> None:
        uploaded[id(source)] = store.upload(source, root)

    small = [source for source in sources if _is_small(source)]
    for_each(small, upload, limit=_CONCURRENT_SMALL_FILES)
    for source in sources:
        if not _is_small(source):
            upload(source)
    return _with_uploaded(value, found, uploaded, store)


def _is_small(source: FileSource) -> bool:
    return source.size is not None and source.size <= _SMALL_FILE_BYTES


def _distinct_sources(files: Sequence[OffloadableFile]) -> list[FileSource]:
    """Return the sources to store, each once: a file may be in several places of a value."""
    sources = [file.source for file in files]
    return list({id(source): source for source in sources if source is not None}.values())


def _with_uploaded(
    value: Any,
    found: Sequence[OffloadableFile],
    uploaded: Mapping[int, Uploaded],
    store: FileStore,
) -> Any:
    if not uploaded:
        return value

    def stored(file: OffloadableFile) -> OffloadableFile:
        if file.source is None:
            return file
        return type(file).of_uploaded(uploaded[id(file.source)], store)

    return replace_instances(value, OffloadableFile, map(stored, found))
