"""The publisher: batches, order, faults of the platform, bounds."""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mistral_offload.events.event import Event, LateValue, ReportedRun, event_id
from mistral_offload.events.execution_token import ExecutionTokens, token_hash
from mistral_offload.events.publisher import EventPublisher
from mistral_offload.events.registration import Registration
from mistral_offload.events.transport import transport_factory
from tests.bounds import wait_until
from tests.events.platform import REGISTER, TOKEN, V1, V2, Fault, ReportingPlatform

TOKEN_OF_A_RUN = "0f9d5c2e-0000-4000-8000-000000000001"


def run(name: str = "run", token: str | None = TOKEN_OF_A_RUN) -> ReportedRun:
    return ReportedRun(f"of {name}", name, "flow", f"of {name}", execution_token=token)


def event(step: int, of: ReportedRun | None = None, *, size: int = 1, linger: float = 0.0) -> Event:
    of = of or run()
    value = LateValue(size, lambda: b'{"n":%d,"text":"%b"}' % (step, b"x" * size))
    identity = event_id(of.run_id, str(step), 1, "ACTIVITY_TASK_STARTED")
    attributes = (("task_id", b'"1"'), ("input", value))
    return Event(of, "ACTIVITY_TASK_STARTED", identity, attributes, linger_seconds=linger)


@contextmanager
def publishing(platform: ReportingPlatform, **bounds: int) -> Iterator[EventPublisher]:
    transports = transport_factory(platform.url, None)
    publisher = EventPublisher(transports, lambda: "Bearer key", **bounds)
    try:
        yield publisher
    finally:
        for fault in platform.faults:
            if fault.hold is not None:
                fault.hold.set()
        publisher.close(5)


@pytest.fixture
def platform() -> Iterator[ReportingPlatform]:
    with ReportingPlatform() as running:
        yield running


def steps_of(platform: ReportingPlatform, execution_id: str = "of run") -> list[int]:
    return [each["attributes"]["input"]["n"] for each in platform.events(execution_id)]


def test_one_registration_one_token_one_batch(platform: ReportingPlatform) -> None:
    with publishing(platform) as publisher:
        publisher.publish(Registration(run(), "queue"))
        for step in range(5):
            publisher.publish(event(step, linger=0.5 if step < 4 else 0.0))
        wait_until(lambda: publisher.reported == 6)
    assert [each.path for each in platform.requests] == [REGISTER, TOKEN, f"{V2}/batch"]
    assert steps_of(platform) == [0, 1, 2, 3, 4]
    assert {each.authorization for each in platform.requests} == {"Bearer key"}
    assert platform.requests[0].body == {
        "temporal_workflow_id": "of run",
        "temporal_run_id": "run",
        "workflow_name": "flow",
        "task_queue": "queue",
        "execution_token_hash": token_hash(TOKEN_OF_A_RUN),
        "temporal_parent_workflow_id": None,
        "temporal_root_workflow_id": None,
    }
    assert platform.requests[1].body["execution_token"] == TOKEN_OF_A_RUN
    assert platform.requests[2].route_token == "route-1"
    assert publisher.dropped == {}


def test_batches_have_at_most_two_million_bytes(platform: ReportingPlatform) -> None:
    with publishing(platform) as publisher:
        for step, size in enumerate([900_000] * 5 + [2_500_000, 10]):
            publisher.publish(event(step, size=size, linger=0.2))
        wait_until(lambda: publisher.reported == 7)
    sizes = [each.size for each in platform.requests if each.path.startswith(V2 + "/batch")]
    assert max(sizes) <= 2_000_000
    assert len([each for each in platform.requests if each.path.startswith(V2)]) == 5
    assert steps_of(platform) == list(range(7))


def test_a_token_is_renewed_before_it_expires(platform: ReportingPlatform) -> None:
    platform.token_seconds = 0
    with publishing(platform) as publisher:
        for step in range(2):
            publisher.publish(event(step))
            wait_until(lambda step=step: publisher.reported == step + 1)
    assert [each.route_token for each in platform.taken if each.events] == ["route-1", "route-2"]


@pytest.mark.parametrize("code", ["EVENT_ROUTE_TOKEN_EXPIRED", "EVENT_ROUTE_TOKEN_INVALID"])
def test_an_expired_token_is_replaced_at_once(platform: ReportingPlatform, code: str) -> None:
    platform.faults.append(Fault(V2, 401, {"code": code}, left=1))
    with publishing(platform) as publisher:
        publisher.publish(event(1))
        wait_until(lambda: publisher.reported == 1)
    assert [each.path for each in platform.requests] == [TOKEN, V2, TOKEN, V2]
    assert publisher.dropped == {}


@pytest.mark.parametrize(
    ("status", "body", "tokens"),
    [(404, {"detail": "Not Found"}, 1), (503, {}, 2), (422, {"detail": "no"}, 4)],
)
def test_without_v2_events_take_the_older_routes(
    platform: ReportingPlatform, status: int, body: dict[str, str], tokens: int
) -> None:
    platform.faults.append(Fault(TOKEN, status, body))
    platform.faults.append(Fault(V1 + "/batch", 404))
    with publishing(platform) as publisher:
        for first in (0, 2):
            for step in (first, first + 1):
                publisher.publish(event(step, linger=0.2))
            wait_until(lambda first=first: publisher.reported == first + 2)
    paths = [each.path for each in platform.requests]
    assert paths.count(TOKEN) == tokens  # a missing route is remembered
    assert paths.count(V1 + "/batch") == 1  # as are missing batches
    assert steps_of(platform) == [0, 1, 2, 3]
    assert all(each.route_token is None for each in platform.requests)


def test_what_the_platform_refuses_is_dropped_and_counted_alone(
    platform: ReportingPlatform, caplog: pytest.LogCaptureFixture
) -> None:
    platform.faults.append(Fault(V2 + "/batch", 400, left=1))
    platform.faults.append(Fault(V2, 413, left=1))
    with publishing(platform) as publisher:
        for step in range(3):
            publisher.publish(event(step, linger=0.2))
        wait_until(lambda: publisher.reported == 2)
        assert publisher.dropped == {"refused by the platform": 1}
    assert steps_of(platform) == [1, 2]
    assert "Events dropped (refused by the platform: 1)" in caplog.text


def test_errors_and_hang_ups_are_repeated_in_order(
    platform: ReportingPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mistral_offload.events.publisher._FIRST_PAUSE_SECONDS", 0.05)
    platform.faults.append(Fault(REGISTER, None, left=2))
    platform.faults.append(Fault(TOKEN, 404, {"code": "EVENT_ROUTE_SCOPE_NOT_FOUND"}, left=1))
    platform.faults.append(Fault(V2, 500, left=1))
    with publishing(platform) as publisher:
        publisher.publish(Registration(run(), "queue"))
        for step in range(3):
            publisher.publish(event(step))
        wait_until(lambda: publisher.reported == 4)
    assert steps_of(platform) == [0, 1, 2]
    assert publisher.dropped == {}


def test_lasting_errors_are_given_up(
    platform: ReportingPlatform, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mistral_offload.events.publisher._FIRST_PAUSE_SECONDS", 0.001)
    platform.faults.append(Fault(V2, 500))
    with publishing(platform) as publisher:
        publisher.publish(event(1))
        wait_until(lambda: publisher.dropped == {"refused by the platform": 1})
    assert len([each for each in platform.requests if each.path == V2]) == 5


def test_a_full_queue_drops_what_is_published(
    platform: ReportingPlatform, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    hold = threading.Event()
    platform.faults.append(Fault("/", 200, {"route_token": "t"}, hold=hold))
    with publishing(platform, most_events=3, most_bytes=2000) as publisher:
        publisher.publish(event(0))
        wait_until(lambda: platform.requests)
        publisher.publish(event(1))
        publisher.publish(event(2, size=3000))  # too many bytes
        publisher.publish(event(3))
        publisher.publish(event(4))  # too many events
        assert publisher.dropped == {"queue full": 2}
        hold.set()
    assert caplog.text.count("Events dropped") == 2  # at first, and at the end


def test_the_end_is_bounded(platform: ReportingPlatform) -> None:
    hold = threading.Event()
    platform.faults.append(Fault("/", 200, hold=hold))
    with publishing(platform) as publisher:
        for number in range(3):
            publisher.publish(event(1, run(f"run {number}")))
        wait_until(lambda: platform.requests)
        publisher.close(0.2)
        assert publisher.dropped == {"worker ended": 3}
        assert not hold.is_set()
        publisher.publish(event(2))
        assert publisher.dropped == {"worker ended": 4}


def test_what_waits_is_sent_at_the_end(platform: ReportingPlatform) -> None:
    with publishing(platform) as publisher:
        for number in range(20):
            publisher.publish(event(1, run(f"run {number}"), linger=60))
        publisher.close(10)
        assert (publisher.reported, publisher.dropped) == (20, {})


def test_a_platform_that_is_away_costs_nothing_but_the_reports() -> None:
    transports = transport_factory("http://127.0.0.1:9", None)  # refuses connections
    publisher = EventPublisher(transports, lambda: None)
    publisher.publish(event(1))
    publisher.close(2)
    assert publisher.dropped == {"worker ended": 1}


def test_a_value_that_cannot_be_made_is_null(platform: ReportingPlatform) -> None:
    def fail() -> bytes:
        raise OSError("no store")

    broken = Event(run(), "X", "id", (("task_id", b'"1"'), ("input", LateValue(0, fail))))
    with publishing(platform) as publisher:
        publisher.publish(broken)
    (sent,) = platform.events("of run")
    assert sent["attributes"]["input"] == {"type": "json", "value": None, "encoding_options": None}


def test_ids_are_those_of_the_step() -> None:
    ids = [event_id("run", "step", 1, "A"), event_id("run", "step", 1, "A")]
    others = [event_id("run", "step", 2, "A"), event_id("run", "step", 1, "B")]
    assert len(set(ids)) == 1
    assert len({*ids, *others}) == 3


def test_tokens_depend_on_key_and_run() -> None:
    tokens = [ExecutionTokens(key).derive(run) for key in ("k", "l", None) for run in ("a", "b")]
    assert len(set(tokens)) == 6
    assert ExecutionTokens("k").derive("a") == tokens[0]
    assert TOKEN_OF_A_RUN not in repr(run())
    assert json.loads(b"{%b}" % run().members)["first_execution_run_id"] == "run"
