"""Garbage collection: deletes the blobs nobody needs any more.

A wrong deletion loses data, so whatever is in doubt is kept (`deciding` has the reasons), and
whatever Temporal does not answer ends the collection. Nothing is remembered between two
collections: one that was interrupted is simply run again, and comes to the same end.

Blobs are taken a thousand at a time, in the order of the store. Those that may go are judged a
second time after a look at how their owners stand at this moment (`census`), then deleted at once.
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
class Collection:
    """What a collection has found and done.

    Attributes:
        runs: how many Temporal knows in the namespace.
        needed_since: from when on forgotten executions may be needed; see `Executions`.
        by_decision: all blobs that were looked at, by what was decided.
        deleted: those that are gone.
        failures: what should have been deleted and could not be, by key, and why.
        is_complete: False when it gave up, since nothing of a whole batch could be deleted.
    """

    runs: int
    needed_since: datetime | None
    by_decision: dict[Decision, Usage] = field(
        default_factory=lambda: {fate: Usage() for fate in Decision}
    )
    deleted: Usage = field(default_factory=Usage)
    failures: dict[str, StorageError] = field(default_factory=dict[str, StorageError])
    is_complete: bool = True

    @property
    def examined(self) -> int:
        """How many blobs were looked at."""
        return sum(usage.blobs for usage in self.by_decision.values())


async def collect(
    blobs: Iterable[Blob],
    census: TemporalExecutions,
    rules: Rules,
    *,
    delete: bool = False,
    allow_empty_namespace: bool = False,
    advance: Callable[[int], None] | None = None,
) -> Collection:
    """Find the garbage among some blobs, and delete it if told to.

    Args:
        blobs: the inventory.
        census: what to ask; taken here.
        rules: by what to decide.
        delete: whether to delete; otherwise it is only counted.
        allow_empty_namespace: delete also if Temporal knows no execution at all.
        advance: told after each batch how many blobs were in it.

    Raises:
        ConfigurationError: blobs would be deleted, but Temporal knows no execution at all, as if it
            were another Temporal than the workers'.
        APIConnectionError: Temporal did not answer, or refused. What was deleted so far was rightly
            deleted.
        StorageError: a store cannot be listed.
    """
    await census.take(rules)
    report = Collection(len(census.executions), census.executions.forgotten_needed_since)
    batches = _batches(blobs)
    while batch := await asyncio.to_thread(next, batches, None):
        garbage = _judge(batch, census, rules)[Decision.GARBAGE]
        if garbage and delete:
            if not census.executions and not allow_empty_namespace:
                raise _empty(rules.namespace)
            await census.look_again({blob.owner for blob in garbage})
        judged = _judge(batch, census, rules)
        for fate, found in judged.items():
            for blob in found:
                report.by_decision[fate].add(blob)
        if delete:
            await _delete(judged[Decision.GARBAGE], report)
        if advance is not None:
            advance(len(batch))
        if not report.is_complete:
            break
    return report


def _judge(
    batch: list[Blob], census: TemporalExecutions, rules: Rules
) -> dict[Decision, list[Blob]]:
    judged: dict[Decision, list[Blob]] = {fate: [] for fate in Decision}
    for blob in batch:
        judged[decide(blob.owner, blob.modified, census.executions, rules)].append(blob)
    return judged


async def _delete(garbage: list[Blob], report: Collection) -> None:
    failures = await delete_blobs(garbage)
    for blob in garbage:
        if blob.key not in failures:
            report.deleted.add(blob)
    report.failures |= failures
    if garbage and len(failures) == len(garbage):
        report.is_complete = False


async def delete_blobs(blobs: Iterable[Blob]) -> dict[str, StorageError]:
    """Delete blobs, wherever they are; what could not be deleted, by key, and why."""
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


def _empty(namespace: str) -> ConfigurationError:
    return ConfigurationError(
        f"Temporal knows no execution in namespace {namespace!r}, not even a closed one, so every "
        "blob looks forgotten: is it the Temporal of the workers that use this bucket? "
        "--allow-empty-namespace insists"
    )
