"""Check of a worker's stores before it takes the first task."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Mapping
from typing import Final
from urllib.parse import quote

from mistral_offload.config import BlobStorageConfig
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.errors import (
    BlobNotFoundError,
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageCheckError,
    StorageConfigError,
)
from mistral_offload.payload.field_reference import FIELD_ROOT
from mistral_offload.payload.reference import PAYLOAD_ROOT
from mistral_offload.storage import telemetry
from mistral_offload.storage.factory import open_store
from mistral_offload.storage.store import BlobStore

_logger = logging.getLogger("mistral_offload.worker")

_PROBE_NAME: Final = "worker-start-check"
_PROBE: Final = b"A worker of mistral-offload has checked that it can write here."


async def check_stores(settings: WorkerSettings, *, payloads: bool, fields: bool) -> None:
    """Check access to every store that the settings configure.

    Args:
        settings: the worker's settings.
        payloads: True to check the store for whole payloads.
        fields: True to check the store for activity fields.

    Raises:
        StorageCheckError: one or more stores cannot be used; the message names each with its error.
    """
    stores = configured_stores(settings, payloads=payloads, fields=fields)
    errors = await asyncio.gather(*(find_error(*each) for each in stores.values()))
    problems = {group: error for group, error in zip(stores, errors, strict=True) if error}
    if problems:
        raise StorageCheckError(_describe(problems))


async def warn_of_unknown_namespace(
    settings: WorkerSettings, namespace: str, *, payloads: bool, fields: bool
) -> None:
    """Warn of each store without a blob of the namespace: its bucket or prefix may be wrong.

    Costs one list request a store. Says nothing about stores that cannot be listed.

    Args:
        settings: the worker's settings.
        namespace: the worker's Temporal namespace.
        payloads: True to look at the store for whole payloads.
        fields: True to look at the store for activity fields.
    """
    groups: dict[BlobStorageConfig, tuple[str, str]] = {}
    stores = configured_stores(settings, payloads=payloads, fields=fields)
    for group, (config, root) in stores.items():
        for each in (config, *config.read_also):
            groups.setdefault(each, (group, root))
    empty = await asyncio.gather(
        *(
            _lacks(config, f"{root}/{quote(namespace, safe='')}/")
            for config, (_, root) in groups.items()
        )
    )
    for (config, (group, root)), is_empty in zip(groups.items(), empty, strict=True):
        if is_empty:
            _logger.warning(
                "%s__STORAGE_CONFIG: %s has no blob of namespace %s (no key below %s/). Unless "
                "nothing was ever offloaded in this namespace, bucket or prefix differ from those "
                "of the other workers and clients, and executions that need their blobs will wait",
                group,
                config.description,
                namespace,
                root,
            )


def configured_stores(
    settings: WorkerSettings, *, payloads: bool, fields: bool
) -> dict[str, tuple[BlobStorageConfig, str]]:
    """Return the configured stores and the roots of their keys, by group of variables.

    Args:
        settings: the worker's settings.
        payloads: True for the store for whole payloads.
        fields: True for the store for activity fields.
    """
    stores: dict[str, tuple[BlobStorageConfig, str]] = {}
    if payloads and settings.payload_offloading is not None:
        config = settings.payload_offloading.storage_config
        stores["TEMPORAL_PAYLOAD_OFFLOADING"] = config, PAYLOAD_ROOT
    if fields and settings.field_offloading is not None:
        config = settings.field_offloading.storage_config
        stores["ACTIVITY_ATTRIBUTES_OFFLOADING"] = config, FIELD_ROOT
    return stores


async def _lacks(config: BlobStorageConfig, prefix: str) -> bool:
    """Return True if a store has no blob below a prefix; False if that cannot be found out."""
    try:
        return await anext(open_store(config).list_async(prefix), None) is None
    except MistralOffloadError:
        return False


async def find_error(config: BlobStorageConfig, root: str) -> MistralOffloadError | None:
    """Return the error of a store that cannot be used, or None.

    Args:
        config: the store.
        root: the first part of the keys in it.
    """
    try:
        with telemetry.unrecorded():
            store = open_store(config)
            await store.run_async(_probe_read_or_write, store, f"{root}/{_PROBE_NAME}")
            for other in map(open_store, config.read_also):
                await other.run_async(_probe_read, other, f"{root}/{_PROBE_NAME}")
    except MistralOffloadError as error:
        return error
    return None


def _probe_read_or_write(store: BlobStore, key: str) -> None:
    """Read a blob that does not exist; if access is denied, write it first.

    Reading checks the server, the bucket and the credentials, and leaves nothing behind. But S3
    and Google report a missing blob as denied access to clients without permission to list. These
    may still write and read blobs, which is all a worker does.
    """
    try:
        _probe_read(store, key)
    except StorageAccessDeniedError as denied:
        try:
            store.put(key, _PROBE)
        except StorageAccessDeniedError:
            raise denied from None
        _probe_read(store, key)


def _probe_read(store: BlobStore, key: str) -> None:
    try:
        found = store.get(key)
    except BlobNotFoundError:
        return
    if found != _PROBE:
        raise StorageConfigError(
            f"{store} is not a store: it sends {len(found):,} bytes for a blob that was never "
            "written. Fix the endpoint, or whatever responds in its place"
        )


def _describe(problems: Mapping[str, MistralOffloadError]) -> str:
    lines = [f"{group}__STORAGE_CONFIG: {error}" for group, error in problems.items()]
    return (
        "the worker cannot use its configured storage:\n  "
        + "\n  ".join(lines)
        + "\nSet CHECK_STORAGE_ON_START=false to start without this check"
    )
