"""Garbage collection: deletes blobs that are no longer needed.

A wrong deletion loses data, so a blob is kept in case of doubt (`retention` has the reasons), and
the collection ends if Temporal does not respond. No state is kept between collections: one that was
interrupted is simply run again, with the same result.

Blobs are processed a thousand at a time, in the order of the store. Before garbage is deleted, the
current state of its owners is read from Temporal and the decision is made again.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from itertools import islice

from mistral_offload.cleanup.owners import Blob
from mistral_offload.cleanup.retention import Decision, Rules, decide
from mistral_offload.cleanup.temporal_executions import TemporalExecutions
from mistral_offload.cleanup.usage import Usage
from mistral_offload.errors import ConfigurationError, StorageError
from mistral_offload.storage.store import BlobStore

_BATCH_BLOBS = 1000


@dataclass(slots=True)
class CollectionReport:
    """The result of a garbage collection.

    Attributes:
        runs: number of runs that Temporal knows in the namespace.
        needed_since: `Executions.forgotten_needed_since`.
        by_decision: all examined blobs, by decision.
        deleted: the deleted blobs.
        failures: the error for each blob that could not be deleted, by key.
        is_complete: False if the collection stopped early, since every deletion of a batch failed.
    """

    runs: int
    needed_since: datetime | None
    by_decision: dict[Decision, Usage] = field(
        default_factory=lambda: {decision: Usage() for decision in Decision}
    )
    deleted: Usage = field(default_factory=Usage)
    failures: dict[str, StorageError] = field(default_factory=dict[str, StorageError])
    is_complete: bool = True

    @property
    def examined(self) -> int:
        """Number of examined blobs."""
        return sum(usage.blobs for usage in self.by_decision.values())


async def collect_garbage(
    blobs: Iterable[Blob],
    temporal: TemporalExecutions,
    rules: Rules,
    *,
    delete: bool = False,
    allow_empty_namespace: bool = False,
    advance: Callable[[int], None] | None = None,
) -> CollectionReport:
    """Find garbage, and delete it on request.

    Args:
        blobs: the blobs to examine.
        temporal: the executions of the namespace; loaded here.
        rules: the retention rules.
        delete: delete garbage; otherwise it is only counted.
        allow_empty_namespace: delete even if Temporal knows no execution at all.
        advance: called after each batch with the number of blobs in it.

    Raises:
        ConfigurationError: there is garbage to delete, but Temporal knows no execution at all, as
            if it were not the Temporal server of the workers.
        APIConnectionError: Temporal did not respond, or refused. Earlier deletions were justified.
        StorageError: a store cannot be listed.
    """
    await temporal.load(rules)
    report = CollectionReport(len(temporal.executions), temporal.executions.forgotten_needed_since)
    batches = _batches(blobs)
    while batch := await asyncio.to_thread(next, batches, None):
        garbage = _group_by_decision(batch, temporal, rules)[Decision.GARBAGE]
        if garbage and delete:
            if not temporal.executions and not allow_empty_namespace:
                raise _empty_namespace(rules.namespace)
            await temporal.refresh({blob.owner for blob in garbage})
        grouped = _group_by_decision(batch, temporal, rules)
        for decision, found in grouped.items():
            for blob in found:
                report.by_decision[decision].add(blob)
        if delete:
            await _delete(grouped[Decision.GARBAGE], report)
        if advance is not None:
            advance(len(batch))
        if not report.is_complete:
            break
    return report


def _group_by_decision(
    batch: list[Blob], temporal: TemporalExecutions, rules: Rules
) -> dict[Decision, list[Blob]]:
    grouped: dict[Decision, list[Blob]] = {decision: [] for decision in Decision}
    for blob in batch:
        grouped[decide(blob.owner, blob.modified, temporal.executions, rules)].append(blob)
    return grouped


async def _delete(garbage: list[Blob], report: CollectionReport) -> None:
    failures = await delete_blobs(garbage)
    for blob in garbage:
        if blob.key not in failures:
            report.deleted.add(blob)
    report.failures |= failures
    if garbage and len(failures) == len(garbage):
        report.is_complete = False


async def delete_blobs(blobs: Iterable[Blob]) -> dict[str, StorageError]:
    """Delete blobs from their stores; return the error for each that could not be, by key."""
    by_store: dict[BlobStore, list[str]] = {}
    for blob in blobs:
        by_store.setdefault(blob.store, []).append(blob.key)
    failures: dict[str, StorageError] = {}
    for store, keys in by_store.items():
        failures |= await store.delete_many_async(keys)
    return failures


def _batches(blobs: Iterable[Blob]) -> Iterator[list[Blob]]:
    rest = iter(blobs)
    while batch := list(islice(rest, _BATCH_BLOBS)):
        yield batch


def _empty_namespace(namespace: str) -> ConfigurationError:
    return ConfigurationError(
        f"Temporal knows no execution in namespace {namespace!r}, not even a closed one, so every "
        "blob looks forgotten. Check that this is the Temporal server of the workers that use this "
        "bucket, or pass --allow-empty-namespace to delete anyway"
    )
