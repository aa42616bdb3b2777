"""Decides which blobs may be deleted.

No I/O: a wrong decision loses data, so the rules can be tested exhaustively.

A blob is kept, in this order of reasons, if

* it belongs to another namespace: Temporal was queried about one only;
* Temporal names no execution for it: any execution may refer to it, and only the bucket's expiry
  rule removes it;
* it is the input of a schedule;
* it belongs to a tree of executions of which one is open (see `executions`): this covers ids that
  are used again, continue-as-new, resets, parents and children;
* it belongs to a tree that closed within the retention;
* it was written within the retention, or the minimum age if that is longer: an upload precedes the
  start of its execution, and Temporal's lists lag behind;
* it belongs to an execution that Temporal does not know, and a tree that is open, or closed within
  the retention, started before the blob was written: the owner may be an earlier run, a child or
  grandchild that closed so long ago that Temporal has forgotten it, while the rest of the tree
  still reads the blob when it is replayed.

References from outside the tree do not protect a blob: a client that passes the field of one result
on to another execution, a signal that carries one, another namespace that reads it. And ``now`` is
trusted: a clock that is ahead makes every blob look older.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import Enum

from mistral_offload.cleanup.executions import Executions
from mistral_offload.cleanup.owners import Owner, OwnerKind
from mistral_offload.errors import ConfigurationError

DEFAULT_RETENTION = timedelta(days=30)
DEFAULT_MIN_AGE = timedelta(days=1)


class Decision(str, Enum):
    """The decision on a blob: garbage, or the reason why it is kept."""

    GARBAGE = "garbage"
    OTHER_NAMESPACE = "other_namespace"
    UNOWNED = "unowned"
    SCHEDULED = "scheduled"
    RUNNING = "running"
    RECENT = "recent"
    YOUNG = "young"
    MAY_BE_NEEDED = "may_be_needed"


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules by which to decide.

    Attributes:
        namespace: the namespace that Temporal was queried about.
        now: the time from which ages are counted, with a time zone.
        retention: time since the close of an execution after which its blobs are garbage.
        min_age: age that a blob must have reached.
        temporal_retention: time for which Temporal is certain to keep closed executions.
        trust_forgotten: treat executions that Temporal has forgotten as garbage, even if a kept
            tree may need them.
    """

    namespace: str
    now: datetime
    retention: timedelta = DEFAULT_RETENTION
    min_age: timedelta = DEFAULT_MIN_AGE
    temporal_retention: timedelta = timedelta(0)
    trust_forgotten: bool = False


def decide(owner: Owner, modified: datetime, executions: Executions, rules: Rules) -> Decision:
    """Decide on a blob.

    Args:
        owner: the blob's owner.
        modified: the time at which it was written.
        executions: the executions that Temporal knows.
        rules: the rules by which to decide.
    """
    if owner.namespace != rules.namespace:
        return Decision.OTHER_NAMESPACE
    if owner.kind is OwnerKind.UNOWNED:
        return Decision.UNOWNED
    if executions.is_scheduled(owner):
        return Decision.SCHEDULED
    state = executions.state_of(owner)
    if state is not None and state.is_open:
        return Decision.RUNNING
    if state is not None and state.closed > rules.now - rules.retention:
        return Decision.RECENT
    if modified > rules.now - max(rules.retention, rules.min_age):
        return Decision.YOUNG
    if state is None and not rules.trust_forgotten:
        needed_since = executions.forgotten_needed_since
        if needed_since is not None and modified + rules.min_age >= needed_since:
            return Decision.MAY_BE_NEEDED
    return Decision.GARBAGE


def choose_retention(
    requested: timedelta | None, namespace: timedelta | None, *, allow_shorter: bool
) -> timedelta:
    """Choose the retention: the requested one, else the namespace's, else 30 days.

    Args:
        requested: the retention that the user requests; None for the default.
        namespace: the time for which Temporal keeps closed executions; None if unknown.
        allow_shorter: accept a requested retention shorter than the namespace's.

    Raises:
        ConfigurationError: the requested retention is shorter than the namespace's.
    """
    if requested is None:
        return DEFAULT_RETENTION if namespace is None else namespace
    if namespace is not None and requested < namespace and not allow_shorter:
        raise ConfigurationError(
            f"a retention of {requested / timedelta(days=1):g} days is shorter than the "
            f"namespace's {namespace / timedelta(days=1):g} days: until then, closed executions "
            "can be read and reset, and need their blobs. Pass --allow-shorter-retention to use it "
            "anyway"
        )
    return requested
