"""Executions known to Temporal, and the trees they form. No I/O.

References are passed on: to later runs of the same execution by continue-as-new or reset, and to
parents and children in arguments and results. So the unit of retention is the tree: all executions
with the same root, and all runs of their ids. A tree is open while any of its runs is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from mistral_offload.cleanup.owners import Owner, OwnerKind

LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)

# Ids of executions started by a schedule are the id of its action, followed by the time. The input
# is stored once, under the id of the action.
_SCHEDULED = re.compile(r"(.+)-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True, slots=True)
class Execution:
    """One run of an execution.

    Attributes:
        id: the execution id, shared by all its runs.
        run_id: the id of this run.
        root_id, root_run_id: the execution at the root of its tree, often itself. The run id is
            empty for an activity without a workflow, which has neither tree nor other runs.
        started: the time of its start.
        closed: the time of its end; None while it is running or paused.
    """

    id: str
    run_id: str
    root_id: str
    root_run_id: str
    started: datetime
    closed: datetime | None


@dataclass(frozen=True, slots=True)
class TreeState:
    """The state of a tree, or of several, whose runs may still need a blob.

    Attributes:
        is_open: True while a run is open.
        closed: the time at which the last run closed; meaningless while one is open.
    """

    is_open: bool
    closed: datetime

    def merged(self, other: TreeState) -> TreeState:
        """Return the state of both trees together."""
        return TreeState(self.is_open or other.is_open, max(self.closed, other.closed))


class Executions:
    """The runs of one namespace, as far as Temporal still knows them.

    Additions are final: a tree that was once seen open stays open, and keeps its blobs.

    Attributes:
        forgotten_needed_since: known executions may need blobs of executions that Temporal has
            forgotten, if these were written at or after this time; None if no tree is kept that may
            have such members. Initially, all of them may be needed.
    """

    def __init__(self) -> None:
        self.forgotten_needed_since: datetime | None = LONG_AGO
        self._runs: dict[str, Execution] = {}
        self._roots: dict[str, set[str]] = {}
        self._trees: dict[str, TreeState] = {}
        self._scheduled: set[str] = set()

    def __len__(self) -> int:
        return len(self._runs)

    def add(self, run: Execution) -> None:
        """Add a run, or its current state."""
        self._runs[run.run_id] = run
        state = TreeState(run.closed is None, run.closed or run.started)
        known = self._trees.get(run.root_id)
        self._trees[run.root_id] = known.merged(state) if known else state
        self._roots.setdefault(run.id, set()).add(run.root_id)
        scheduled = _SCHEDULED.fullmatch(run.id)
        if scheduled is not None:
            self._roots.setdefault(scheduled[1], set()).add(run.root_id)

    def add_scheduled(self, execution_id: str) -> None:
        """Add the execution id that a schedule's action uses."""
        self._scheduled.add(execution_id)

    def run(self, run_id: str) -> Execution | None:
        """Return a run by its id; None if unknown."""
        return self._runs.get(run_id)

    def runs_in_kept_trees(self, closed_since: datetime) -> Iterator[Execution]:
        """Yield the runs of trees that are open, or closed after a time."""
        for run in self._runs.values():
            state = self._trees[run.root_id]
            if state.is_open or state.closed > closed_since:
                yield run

    def is_scheduled(self, owner: Owner) -> bool:
        """Return True if a schedule still uses the blobs of an owner."""
        return owner.kind is OwnerKind.EXECUTION and owner.id in self._scheduled

    def state_of(self, owner: Owner) -> TreeState | None:
        """Return the state of the trees of an owner; None if Temporal does not know the owner."""
        states = [self._trees[root] for root in self._roots_of(owner)]
        if not states:
            return None
        merged = states[0]
        for state in states[1:]:
            merged = merged.merged(state)
        return merged

    def related_ids(self, owner: Owner) -> set[str]:
        """Return the ids to check before deleting blobs of an owner: its own, and the roots'."""
        own = self._id_of(owner)
        return set() if own is None else {own, *self._roots_of(owner)}

    def _roots_of(self, owner: Owner) -> set[str]:
        own = self._id_of(owner)
        return set() if own is None else self._roots.get(own, set())

    def _id_of(self, owner: Owner) -> str | None:
        if owner.kind is OwnerKind.EXECUTION:
            return owner.id
        if owner.kind is OwnerKind.UNOWNED:
            return None
        run = self._runs.get(owner.id)
        return run.id if run else None
