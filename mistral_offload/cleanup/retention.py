"""Which blobs may go. No I/O: a wrong answer loses data, so it can be tried out exhaustively.

Kept, in this order of reasons:

* what belongs to another namespace: Temporal was asked about one only;
* what a schedule starts its executions with;
* what belongs to a tree of executions in which one is open (see `executions`): this covers ids that
  are used again, continue-as-new, resets, parents and children;
* what belongs to a tree that closed within the retention;
* what was written within the retention, or the grace if that is longer: an upload precedes the
  start of its execution, and what Temporal lists lags behind;
* what belongs to nobody Temporal knows, if a tree that is open, or closed within the retention,
  began before it was written: it may be of an earlier run, a child, a child's child that closed so
  long ago that Temporal has forgotten it, while the others still read it when they are replayed.

A blob that is referred to from outside its tree (a client passes the field of one result on to
another execution, a signal carries one, or another namespace reads it) is not protected by who
refers to it. And ``now`` is believed: a clock that is ahead makes everything look older.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from mistral_offload.cleanup.executions import Executions
from mistral_offload.cleanup.owners import Owner
from mistral_offload.errors import ConfigurationError

DEFAULT_RETENTION = timedelta(days=30)
DEFAULT_GRACE = timedelta(days=1)


class Decision(str, Enum):
    """What happens to a blob, and why."""

    GARBAGE = "garbage"
    OTHER_NAMESPACE = "other_namespace"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    RECENT = "recent"
    YOUNG = "young"
    MAY_BE_NEEDED = "may_be_needed"


@dataclass(frozen=True, slots=True)
class Rules:
    """By what to decide.

    Attributes:
        namespace: the one that Temporal was asked about.
        now: the moment from which ages are counted, with a time zone.
        retention: how long ago an execution must have closed.
        grace: how old a blob must be at least.
        remembered: how long Temporal surely knows of closed executions.
        trust_forgotten: take what Temporal has forgotten for unneeded, whatever is kept.
    """

    namespace: str
    now: datetime
    retention: timedelta = DEFAULT_RETENTION
    grace: timedelta = DEFAULT_GRACE
    remembered: timedelta = timedelta(0)
    trust_forgotten: bool = False


def decide(owner: Owner, modified: datetime, executions: Executions, rules: Rules) -> Decision:
    """What becomes of a blob.

    Args:
        owner: whose it is.
        modified: when it was written.
        executions: what Temporal knows.
        rules: by what to decide.
    """
    if owner.namespace != rules.namespace:
        return Decision.OTHER_NAMESPACE
    if executions.is_scheduled(owner):
        return Decision.SCHEDULED
    state = executions.state_of(owner)
    if state is not None and state.is_open:
        return Decision.RUNNING
    if state is not None and state.closed > rules.now - rules.retention:
        return Decision.RECENT
    if modified > rules.now - max(rules.retention, rules.grace):
        return Decision.YOUNG
    if state is None and not rules.trust_forgotten:
        needed_since = executions.forgotten_needed_since
        if needed_since is not None and modified + rules.grace >= needed_since:
            return Decision.MAY_BE_NEEDED
    return Decision.GARBAGE


def choose_retention(
    asked: timedelta | None, namespace: timedelta | None, *, allow_shorter: bool
) -> timedelta:
    """How long to keep the blobs of a closed execution.

    Args:
        asked: what the user asks for, if anything.
        namespace: how long Temporal keeps closed executions, if it says so.
        allow_shorter: whether the user insists.

    Raises:
        ConfigurationError: it is asked for less than Temporal keeps the executions.
    """
    if asked is None:
        return DEFAULT_RETENTION if namespace is None else namespace
    if namespace is not None and asked < namespace and not allow_shorter:
        raise ConfigurationError(
            f"a retention of {asked / timedelta(days=1):g} days is shorter than the namespace's "
            f"{namespace / timedelta(days=1):g} days: until then closed executions can be read and "
            "reset, and need their blobs. --allow-shorter-retention insists"
        )
    return asked
