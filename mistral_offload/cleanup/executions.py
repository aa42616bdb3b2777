"""What is known of executions, and of the trees they form. No I/O.

A reference may be passed on: to later runs of the same execution by continue-as-new or reset, to
parents and children in arguments and results. So blobs are judged by trees: all executions with the
same root, all runs of their ids. A tree is open while one run in it is.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from mistral_offload.cleanup.owners import Owner, OwnerKind

LONG_AGO = datetime.min.replace(tzinfo=timezone.utc)

# Executions of a schedule have the id of its action, and the time. The input is stored once, under
# the former.
_SCHEDULED = re.compile(r"(.+)-\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ")


@dataclass(frozen=True, slots=True)
class Execution:
    """One run, as Temporal tells of it.

    Attributes:
        id: of the execution; its runs share it.
        run_id: of this run.
        root_id, root_run_id: the execution at the top of its tree, often itself. No run id for an
            activity without a workflow, which has neither tree nor other runs.
        started: when.
        closed: when; None while it is open, running or paused.
    """

    id: str
    run_id: str
    root_id: str
    root_run_id: str
    started: datetime
    closed: datetime | None


@dataclass(frozen=True, slots=True)
class TreeState:
    """Whether anybody in the trees of an owner may still need its blobs.

    Attributes:
        is_open: a run is open.
        closed: when the last of the runs closed; meaningless while one is open.
    """

    is_open: bool
    closed: datetime

    def joined(self, other: TreeState) -> TreeState:
        """Both together."""
        return TreeState(self.is_open or other.is_open, max(self.closed, other.closed))


class Executions:
    """The runs of one namespace, as far as Temporal remembers them.

    What was added is never taken back: a run that was once seen open stays so, and keeps blobs.

    Attributes:
        forgotten_needed_since: blobs of executions that Temporal has forgotten may be needed by
            known ones, unless they were written before this moment; None if no such tree is kept.
            Until it is found out, they may be needed whenever they were written.
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
        """Take note of a run, or of how it stands now."""
        self._runs[run.run_id] = run
        state = TreeState(run.closed is None, run.closed or run.started)
        known = self._trees.get(run.root_id)
        self._trees[run.root_id] = known.joined(state) if known else state
        self._roots.setdefault(run.id, set()).add(run.root_id)
        scheduled = _SCHEDULED.fullmatch(run.id)
        if scheduled is not None:
            self._roots.setdefault(scheduled[1], set()).add(run.root_id)

    def add_scheduled(self, execution_id: str) -> None:
        """Take note of an id that a schedule starts executions with."""
        self._scheduled.add(execution_id)

    def run(self, run_id: str) -> Execution | None:
        """A run, if it is known."""
        return self._runs.get(run_id)

    def runs_of_trees_kept(self, closed_since: datetime) -> Iterator[Execution]:
        """The runs of trees that are open, or closed after a moment."""
        for run in self._runs.values():
            state = self._trees[run.root_id]
            if state.is_open or state.closed > closed_since:
                yield run

    def is_scheduled(self, owner: Owner) -> bool:
        """Whether a schedule goes on using the blobs of an owner."""
        return owner.kind is OwnerKind.EXECUTION and owner.id in self._scheduled

    def state_of(self, owner: Owner) -> TreeState | None:
        """How the trees of an owner stand; None if Temporal knows nothing of it."""
        states = [self._trees[root] for root in self._roots_of(owner)]
        if not states:
            return None
        joined = states[0]
        for state in states[1:]:
            joined = joined.joined(state)
        return joined

    def ids_around(self, owner: Owner) -> set[str]:
        """The ids to ask about before blobs of an owner go: its own and those of the roots."""
        own = self._id_of(owner)
        return set() if own is None else {own, *self._roots_of(owner)}

    def _roots_of(self, owner: Owner) -> set[str]:
        own = self._id_of(owner)
        return set() if own is None else self._roots.get(own, set())

    def _id_of(self, owner: Owner) -> str | None:
        if owner.kind is OwnerKind.EXECUTION:
            return owner.id
        run = self._runs.get(owner.id)
        return run.id if run else None
