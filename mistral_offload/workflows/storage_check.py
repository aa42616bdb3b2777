"""Whether a worker can reach its stores, asked before it takes the first task."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Final

from mistral_offload.config import BlobStorageConfig
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.errors import (
    BlobNotFoundError,
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageCheckError,
)
from mistral_offload.payload.field_reference import FIELD_ROOT
from mistral_offload.payload.reference import PAYLOAD_ROOT
from mistral_offload.storage.factory import open_store
from mistral_offload.storage.store import BlobStore

_PROBE_NAME: Final = "worker-start-check"
_PROBE: Final = b"A worker of mistral-offload has checked that it can write here."


async def check_stores(settings: WorkerSettings, *, payloads: bool, fields: bool) -> None:
    """Ask every store that the settings configure for a blob that is not there.

    Args:
        settings: the worker's.
        payloads: whether its store for whole payloads is used.
        fields: whether its store for activity fields is used.

    Raises:
        StorageCheckError: one or more cannot be used; it says which, and why.
    """
    wanted: dict[str, tuple[BlobStorageConfig, str]] = {}
    if payloads and settings.payload_offloading is not None:
        config = settings.payload_offloading.storage_config
        wanted["TEMPORAL_PAYLOAD_OFFLOADING"] = config, PAYLOAD_ROOT
    if fields and settings.field_offloading is not None:
        config = settings.field_offloading.storage_config
        wanted["ACTIVITY_ATTRIBUTES_OFFLOADING"] = config, FIELD_ROOT
    outcomes = await asyncio.gather(*(_try(*each) for each in wanted.values()))
    problems = {group: problem for group, problem in zip(wanted, outcomes, strict=True) if problem}
    if problems:
        raise StorageCheckError(_report(problems))


async def _try(config: BlobStorageConfig, root: str) -> MistralOffloadError | None:
    try:
        store = open_store(config)
        await store.run_async(_check, store, f"{root}/{_PROBE_NAME}")
        for other in map(open_store, config.read_also):
            await other.run_async(_read, other, f"{root}/{_PROBE_NAME}")
    except MistralOffloadError as error:
        return error
    return None


def _check(store: BlobStore, key: str) -> None:
    """Reading tells most: the server, the bucket, the credentials. Nothing is left behind.

    But S3 and Google refuse to say that a blob is not there to those who may not list. They may
    still write one and read it, which is all a worker does, so that is tried before giving up.
    """
    try:
        _read(store, key)
    except StorageAccessDeniedError as refused:
        try:
            store.put(key, _PROBE)
        except StorageAccessDeniedError:
            raise refused from None
        _read(store, key)


def _read(store: BlobStore, key: str) -> None:
    try:
        store.get(key)
    except BlobNotFoundError:
        return


def _report(problems: Mapping[str, MistralOffloadError]) -> str:
    lines = [f"{group}__STORAGE_CONFIG: {error}" for group, error in problems.items()]
    return (
        "the worker cannot use the storage it is configured for:\n  "
        + "\n  ".join(lines)
        + "\nCHECK_STORAGE_ON_START=false starts it all the same"
    )
