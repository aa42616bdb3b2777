"""Erasure of one execution: all blobs that were written for it, for example on a legal request.

Does not erase Temporal's history itself (small values, references), copies in the caches of workers
and clients, earlier versions in a versioned bucket, and data that other executions derived from it;
children are executions of their own. Blobs that belong to no execution are only deleted by their
keys, since nothing tells which of them hold data of this execution.
"""

from __future__ import annotations

import asyncio
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from mistral_offload.cleanup.inventory import Inventory
from mistral_offload.cleanup.owners import Blob, Owner, OwnerKind
from mistral_offload.cleanup.temporal_executions import TemporalExecutions, quoted
from mistral_offload.errors import ConfigurationError


@dataclass(frozen=True, slots=True)
class ErasurePlan:
    """The blobs of an execution that would be deleted.

    Attributes:
        execution_id: the execution's id.
        blobs: all blobs written for it, as far as its runs are known.
        run_ids: the runs whose activity fields are included.
        is_known: True if Temporal still knows the execution; if not, run_ids are only those given.
        open_ids: running executions of its tree, which may need the blobs.
        unowned: number of other blobs of the namespace that belong to no execution.
    """

    execution_id: str
    blobs: tuple[Blob, ...]
    run_ids: tuple[str, ...]
    is_known: bool
    open_ids: tuple[str, ...]
    unowned: int = 0

    @property
    def size(self) -> int:
        """Total size of the blobs, in bytes."""
        return sum(blob.size for blob in self.blobs)


async def plan_erasure(
    inventory: Inventory,
    temporal: TemporalExecutions,
    execution_id: str,
    run_ids: Collection[str] = (),
    *,
    keys: Collection[str] = (),
) -> ErasurePlan:
    """Find all blobs of an execution. Delete them with `delete_blobs`.

    Args:
        inventory: the stores to search.
        temporal: lists the runs of the execution, and those still running in its tree.
        execution_id: the execution's id, in the namespace of ``temporal``.
        run_ids: more runs of it, which Temporal may no longer know.
        keys: keys of blobs that belong to no execution, and are to be deleted as well.

    Raises:
        ConfigurationError: a run belongs to another execution, or a key to any, or to another
            namespace.
        APIConnectionError: Temporal did not respond, or refused.
        StorageError: a store cannot be listed.
    """
    nobody = Owner(temporal.namespace, OwnerKind.UNOWNED, "")
    for key in keys:
        if Owner.of(key) != nobody:
            raise ConfigurationError(
                f"{key!r} is not the key of a blob that belongs to no execution: those of "
                f"namespace {temporal.namespace!r} begin with {nobody.key_prefixes[0]}"
            )
    latest = await temporal.latest_run(execution_id)
    runs = await temporal.list_runs(f"WorkflowId = {quoted(execution_id)}")
    if latest is not None:
        runs.append(latest)
    for run_id in run_ids:
        for run in await temporal.list_runs(f"RunId = {quoted(run_id)}"):
            if run.id != execution_id:
                raise ConfigurationError(f"run {run_id!r} is a run of execution {run.id!r}")
    tree = list(runs)
    for root_id in sorted({run.root_id for run in runs}):
        tree += await temporal.list_runs(f"RootWorkflowId = {quoted(root_id)}")
    known = dict.fromkeys([*(run.run_id for run in runs), *run_ids])
    namespace = temporal.namespace
    owners = [
        Owner(namespace, OwnerKind.EXECUTION, execution_id),
        *(Owner(namespace, OwnerKind.RUN, run_id) for run_id in known),
    ]
    unowned = await asyncio.to_thread(_blobs_of, inventory, [nobody])
    named = [blob for blob in unowned if blob.key.endswith(tuple(keys))]
    return ErasurePlan(
        execution_id=execution_id,
        blobs=(*await asyncio.to_thread(_blobs_of, inventory, owners), *named),
        run_ids=tuple(known),
        is_known=bool(runs),
        open_ids=tuple(sorted({run.id for run in tree if run.closed is None})),
        unowned=len(unowned) - len(named),
    )


def _blobs_of(inventory: Inventory, owners: Iterable[Owner]) -> list[Blob]:
    return [blob for owner in owners for blob in inventory.blobs_of(owner)]
