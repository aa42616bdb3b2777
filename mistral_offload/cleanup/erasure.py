"""Erasure of one execution: all blobs that were written for it, for example on a legal request.

Does not erase Temporal's history itself (small values, references), copies in the caches of workers
and clients, earlier versions in a versioned bucket, and data that other executions derived from it;
children are executions of their own.
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
    """

    execution_id: str
    blobs: tuple[Blob, ...]
    run_ids: tuple[str, ...]
    is_known: bool
    open_ids: tuple[str, ...]

    @property
    def size(self) -> int:
        """Total size of the blobs, in bytes."""
        return sum(blob.size for blob in self.blobs)


async def plan_erasure(
    inventory: Inventory,
    temporal: TemporalExecutions,
    execution_id: str,
    run_ids: Collection[str] = (),
) -> ErasurePlan:
    """Find all blobs of an execution. Delete them with `delete_blobs`.

    Args:
        inventory: the stores to search.
        temporal: lists the runs of the execution, and those still running in its tree.
        execution_id: the execution's id, in the namespace of ``temporal``.
        run_ids: more runs of it, which Temporal may no longer know.

    Raises:
        ConfigurationError: a run belongs to another execution.
        APIConnectionError: Temporal did not respond, or refused.
        StorageError: a store cannot be listed.
    """
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
    return ErasurePlan(
        execution_id=execution_id,
        blobs=tuple(await asyncio.to_thread(_blobs_of, inventory, owners)),
        run_ids=tuple(known),
        is_known=bool(runs),
        open_ids=tuple(sorted({run.id for run in tree if run.closed is None})),
    )


def _blobs_of(inventory: Inventory, owners: Iterable[Owner]) -> list[Blob]:
    return [blob for owner in owners for blob in inventory.blobs_of(owner)]
