"""Decisions on blobs, by examples and by property."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistral_offload.cleanup.executions import LONG_AGO, Execution, Executions
from mistral_offload.cleanup.owners import Owner, OwnerKind
from mistral_offload.cleanup.retention import Decision, Rules, choose_retention, decide
from mistral_offload.errors import ConfigurationError

NOW = datetime(2026, 6, 1, tzinfo=timezone.utc)
DAY = timedelta(days=1)
RULES = Rules("ns", NOW, retention=30 * DAY, min_age=DAY)


def ago(days: float) -> datetime:
    return NOW - days * DAY


def execution(id: str, namespace: str = "ns") -> Owner:
    return Owner(namespace, OwnerKind.EXECUTION, id)


def run(id: str) -> Owner:
    return Owner("ns", OwnerKind.RUN, id)


def known(*runs: Execution, needed_since: datetime | None = None) -> Executions:
    executions = Executions()
    for each in runs:
        executions.add(each)
    executions.forgotten_needed_since = needed_since
    return executions


def ran(
    id: str, run_id: str, closed: float | None, *, root: str | None = None, started: float = 200
) -> Execution:
    """Return a run; times are in days ago."""
    ended = None if closed is None else ago(closed)
    return Execution(id, run_id, root or id, f"{root or id}-run", ago(started), ended)


def fate(
    owner: Owner, executions: Executions, *, age: float = 100, rules: Rules = RULES
) -> Decision:
    return decide(owner, ago(age), executions, rules)


def test_closed_longer_ago_than_the_retention() -> None:
    executions = known(ran("a", "r", 31))
    assert fate(execution("a"), executions) is Decision.GARBAGE
    assert fate(run("r"), executions) is Decision.GARBAGE


def test_a_blob_of_no_execution_is_left_to_the_bucket() -> None:
    unowned = Owner("ns", OwnerKind.UNOWNED, "")
    assert fate(unowned, known(), age=10_000) is Decision.UNOWNED
    trusting = Rules("ns", NOW, retention=30 * DAY, min_age=DAY, trust_forgotten=True)
    assert fate(unowned, known(), age=10_000, rules=trusting) is Decision.UNOWNED
    other = Owner("other", OwnerKind.UNOWNED, "")
    assert fate(other, known(), age=10_000) is Decision.OTHER_NAMESPACE


def test_running() -> None:
    executions = known(ran("a", "r", None))
    assert fate(execution("a"), executions) is Decision.RUNNING
    assert fate(run("r"), executions) is Decision.RUNNING


@pytest.mark.parametrize(("closed", "expected"), [(29.9, Decision.RECENT), (30, Decision.GARBAGE)])
def test_the_retention_counts_from_the_close(closed: float, expected: Decision) -> None:
    assert fate(execution("a"), known(ran("a", "r", closed))) is expected


def test_a_blob_younger_than_the_retention_stays_whatever_its_execution_did() -> None:
    executions = known(ran("a", "r", 31))  # an id that may be about to be reused
    assert fate(execution("a"), executions, age=29) is Decision.YOUNG


def test_an_id_used_again_protects_what_was_written_before() -> None:
    executions = known(ran("a", "r1", 90), ran("a", "r2", None))
    assert fate(execution("a"), executions) is Decision.RUNNING
    assert fate(run("r1"), executions) is Decision.RUNNING
    closed = known(ran("a", "r1", 90), ran("a", "r2", 10))
    assert fate(execution("a"), closed) is Decision.RECENT
    assert fate(run("r1"), closed) is Decision.RECENT


def test_a_tree_stands_and_falls_together() -> None:
    parent, child, grandchild = (
        ran("p", "rp", 90),
        ran("c", "rc", 80, root="p"),
        ran("g", "rg", None, root="p"),
    )
    for owner in (*map(execution, "pcg"), run("rp"), run("rc"), run("rg")):
        assert fate(owner, known(parent, child, grandchild)) is Decision.RUNNING
        assert fate(owner, known(parent, child, ran("g", "rg", 20, root="p"))) is Decision.RECENT
        assert fate(owner, known(parent, child, ran("g", "rg", 40, root="p"))) is Decision.GARBAGE


def test_a_child_whose_root_is_forgotten() -> None:
    executions = known(ran("c1", "r1", 60, root="gone"), ran("c2", "r2", None, root="gone"))
    assert fate(execution("c1"), executions) is Decision.RUNNING
    assert fate(run("r1"), executions) is Decision.RUNNING


def test_an_id_in_two_trees_is_kept_by_either() -> None:
    executions = known(ran("x", "r1", 90), ran("x", "r2", 80, root="p"), ran("p", "rp", None))
    assert fate(execution("x"), executions) is Decision.RUNNING
    assert fate(run("r1"), executions) is Decision.RUNNING


def test_what_was_once_seen_open_stays_so() -> None:
    executions = known(ran("a", "r", None), ran("a", "r", 40))
    assert fate(execution("a"), executions) is Decision.RUNNING


def test_another_namespace() -> None:
    executions = known(ran("a", "r", 31))
    assert fate(execution("a", "other"), executions) is Decision.OTHER_NAMESPACE


def test_the_input_of_a_schedule() -> None:
    executions = known()
    executions.add_scheduled("nightly")
    assert fate(execution("nightly"), executions) is Decision.SCHEDULED
    assert fate(execution("other"), executions) is Decision.GARBAGE
    assert fate(run("nightly"), executions) is Decision.GARBAGE


def test_executions_of_a_schedule_that_was_deleted_share_its_input() -> None:
    executions = known(ran("nightly-2026-01-02T03:04:05Z", "r1", 90))
    assert fate(execution("nightly"), executions) is Decision.GARBAGE
    executions.add(ran("nightly-2026-01-03T03:04:05Z", "r2", None))
    assert fate(execution("nightly"), executions) is Decision.RUNNING
    assert fate(execution("nightly-2026-01-02T03:04:05Z"), executions) is Decision.GARBAGE


@pytest.mark.parametrize(
    ("age", "min_age", "expected"),
    [
        (29, 1, Decision.YOUNG),
        (31, 1, Decision.GARBAGE),
        (31, 40, Decision.YOUNG),
        (41, 40, Decision.GARBAGE),
    ],
)
def test_of_nobody_known(age: float, min_age: float, expected: Decision) -> None:
    rules = Rules("ns", NOW, retention=30 * DAY, min_age=min_age * DAY)
    for owner in (execution("a"), run("r")):
        assert fate(owner, known(), age=age, rules=rules) is expected


@pytest.mark.parametrize(
    ("age", "expected"),
    [(49, Decision.MAY_BE_NEEDED), (50.5, Decision.MAY_BE_NEEDED), (52, Decision.GARBAGE)],
)
def test_forgotten_but_younger_than_a_tree_that_is_kept(age: float, expected: Decision) -> None:
    executions = known(needed_since=ago(50))
    assert fate(execution("child"), executions, age=age) is expected
    assert fate(run("earlier"), executions, age=age) is expected
    trusting = Rules("ns", NOW, 30 * DAY, DAY, trust_forgotten=True)
    assert fate(run("earlier"), executions, age=age, rules=trusting) is Decision.GARBAGE


def test_before_anything_is_known_everything_may_be_needed() -> None:
    assert fate(execution("a"), Executions(), age=10_000) is Decision.MAY_BE_NEEDED


def test_the_retention_is_the_users_the_namespaces_or_30_days() -> None:
    assert choose_retention(None, 3 * DAY, allow_shorter=False) == 3 * DAY
    assert choose_retention(None, None, allow_shorter=False) == 30 * DAY
    assert choose_retention(5 * DAY, 3 * DAY, allow_shorter=False) == 5 * DAY
    assert choose_retention(DAY, None, allow_shorter=False) == DAY
    with pytest.raises(ConfigurationError, match=r"1 days is shorter .* 3 days: .*-retention"):
        choose_retention(DAY, 3 * DAY, allow_shorter=False)
    assert choose_retention(DAY, 3 * DAY, allow_shorter=True) == DAY


NAMES = st.sampled_from("abcdef")
DAYS = st.integers(0, 120)


@st.composite
def runs(draw: st.DrawFn) -> list[Execution]:
    """Draw any forest: ids that are used again, chains, children of any root, open and closed."""
    count = draw(st.integers(0, 12))
    return [
        ran(draw(NAMES), f"run-{n}", draw(st.none() | DAYS), root=draw(st.none() | NAMES))
        for n in range(count)
    ]


@given(
    runs(),
    st.one_of(NAMES.map(execution), st.integers(0, 14).map(lambda n: run(f"run-{n}"))),
    DAYS,
    st.builds(
        Rules,
        st.just("ns"),
        st.just(NOW),
        DAYS.map(lambda days: days * DAY),
        DAYS.map(lambda days: days * DAY),
        trust_forgotten=st.booleans(),
    ),
    st.none() | DAYS.map(ago) | st.just(LONG_AGO),
)
def test_nothing_running_in_its_tree_is_ever_chosen(
    world: list[Execution], owner: Owner, age: int, rules: Rules, needed_since: datetime | None
) -> None:
    ids = {each.id for each in world if owner.id in (each.id, each.run_id)}
    roots = {each.root_id for each in world if each.id in ids}
    tree = [each for each in world if each.root_id in roots or each.id in ids]
    if (
        fate(owner, known(*world, needed_since=needed_since), age=age, rules=rules)
        is Decision.GARBAGE
    ):
        assert all(each.closed is not None for each in tree)
        assert all(each.closed <= NOW - rules.retention for each in tree if each.closed)
        assert ago(age) <= NOW - max(rules.retention, rules.min_age)
        if not tree and not rules.trust_forgotten:
            assert needed_since is None or ago(age) < needed_since
