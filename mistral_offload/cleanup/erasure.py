"""Erasing one execution: all blobs that were written for it, at a person's request.

Not erased by this: what is in Temporal's history itself (small values, references), copies in the
caches of workers and clients, earlier versions in a bucket that keeps versions, and what other
executions made of the data; children are executions of their own.
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
class Erasure:
    """What would be erased.

    Attributes:
        execution_id: of the execution.
        blobs: all that was written for it, as far as its runs are known.
        run_ids: the runs whose activity fields were looked for.
        is_known: whether Temporal still knows the execution; if not, run_ids are only those given.
        open_ids: executions of its tree that are open, and may need the blobs.
    """

    execution_id: str
    blobs: tuple[Blob, ...]
    run_ids: tuple[str, ...]
    is_known: bool
    open_ids: tuple[str, ...]

    @property
    def size(self) -> int:
        """Of all blobs, in bytes."""
        return sum(blob.size for blob in self.blobs)


async def plan_erasure(
    inventory: Inventory,
    census: TemporalExecutions,
    execution_id: str,
    run_ids: Collection[str] = (),
) -> Erasure:
    """Find all blobs of an execution. Delete them with `delete_blobs`.

    Args:
        inventory: where to look.
        census: the Temporal to ask for the runs, and whether they are open.
        execution_id: of the execution, in the namespace of the census.
        run_ids: runs that Temporal may have forgotten.

    Raises:
        ConfigurationError: a run is of another execution.
        APIConnectionError: Temporal did not answer, or refused.
        StorageError: a store cannot be listed.
    """
    latest = await census.latest_run(execution_id)
    runs = await census.list_runs(f"WorkflowId = {quoted(execution_id)}")
    if latest is not None:
        runs.append(latest)
    for run_id in run_ids:
        for run in await census.list_runs(f"RunId = {quoted(run_id)}"):
            if run.id != execution_id:
                raise ConfigurationError(f"run {run_id!r} is one of execution {run.id!r}")
    tree = list(runs)
    for root_id in sorted({run.root_id for run in runs}):
        tree += await census.list_runs(f"RootWorkflowId = {quoted(root_id)}")
    known = dict.fromkeys([*(run.run_id for run in runs), *run_ids])
    namespace = census.namespace
    owners = [
        Owner(namespace, OwnerKind.EXECUTION, execution_id),
        *(Owner(namespace, OwnerKind.RUN, run_id) for run_id in known),
    ]
    return Erasure(
        execution_id=execution_id,
        blobs=tuple(await asyncio.to_thread(_blobs_of, inventory, owners)),
        run_ids=tuple(known),
        is_known=bool(runs),
        open_ids=tuple(sorted({run.id for run in tree if run.closed is None})),
    )


def _blobs_of(inventory: Inventory, owners: Iterable[Owner]) -> list[Blob]:
    return [blob for owner in owners for blob in inventory.blobs_of(owner)]
