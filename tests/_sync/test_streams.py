# Generated from tests/_async/test_streams.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 5f3f9a01fb64f77e

"""Streams that break, end, or are no longer read."""

from __future__ import annotations

import gc
from collections.abc import Iterable
from typing import Any

import httpx
import pytest

from mistral_offload import Mistral, RetryConfig, _synchronization
from mistral_offload.errors import (
    APIConnectionError,
    NotFoundError,
    ResponseValidationError,
    StreamDisconnectedError,
)
from mistral_offload.limits import MIB
from mistral_offload.payload.jsontext import dump_json
from tests._sync.recorder import Recording, ScriptedResponse, make_client
from tests.api.bodies import Chunks, opened


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []

    def sleep(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr(_synchronization, sleep.__name__, sleep)
    return taken


def event(number: int, value: Any = None, *, event_id: bool = True) -> bytes:
    """Return a frame that reports a custom task."""
    names = ("event_id", "root_workflow_exec_id", "workflow_exec_id", "workflow_run_id")
    told = {
        **dict.fromkeys(names, "e"),
        "event_timestamp": number,
        "parent_workflow_exec_id": None,
        "workflow_name": "w",
        "event_type": "CUSTOM_TASK_COMPLETED",
        "attributes": {
            "custom_task_id": "t",
            "custom_task_type": "k",
            "payload": {"type": "json", "value": value},
        },
    }
    context = {"namespace": "n", "workflow_name": "w", "workflow_exec_id": "e"}
    data = {"stream": "s", "data": told, "workflow_context": context, "broker_sequence": number}
    mark = b"id: %d\n" % number if event_id else b""
    return mark + b"data: " + dump_json(data) + b"\n\n"


FAILURE = b'event: error\ndata: {"error": "lost", "reason": "read_error"}\n\n'


def client_of(*responses: ScriptedResponse) -> tuple[Mistral, Recording]:
    recording = Recording(responses)
    return make_client(recording), recording


def read_all(stream: Iterable[Any], frames: list[Any] | None = None) -> list[Any]:
    frames = [] if frames is None else frames
    for frame in stream:
        frames.append(frame)
    return frames


def test_reading_closes_at_the_end() -> None:
    body = Chunks([event(1), event(2)])
    client, _ = client_of(opened(body))
    stream = client.workflows.executions.stream("e")
    assert not body.is_closed
    numbers = [frame.data.broker_sequence for frame in stream if frame.data]
    assert numbers == [1, 2]
    assert body.is_closed
    assert read_all(stream) == []


def test_a_with_block_closes() -> None:
    body = Chunks([event(1), event(2)])
    client, _ = client_of(opened(body))
    with client.workflows.executions.stream("e") as stream:
        for _ in stream:
            break
        assert not body.is_closed
    assert body.is_closed


def test_a_stream_that_nobody_holds_is_closed() -> None:
    body = Chunks([event(1), event(2)])
    client, _ = client_of(opened(body))
    for _ in client.workflows.events.get_stream_events():
        break
    gc.collect()
    _synchronization.sleep(0)  # lets the closing task run
    _synchronization.sleep(0)
    assert body.is_closed


def test_a_refusal_is_an_error_before_anything_is_read() -> None:
    client, recording = client_of(httpx.Response(404, json={"detail": "no such execution"}))
    with pytest.raises(NotFoundError, match="no such execution"):
        client.workflows.executions.stream("e")
    assert len(recording.requests) == 1


def test_an_answer_that_is_no_stream_is_refused() -> None:
    client, _ = client_of(httpx.Response(200, json={}))
    with pytest.raises(ResponseValidationError, match="did not return a stream"):
        client.workflows.executions.stream("e")


def test_opening_is_retried(pauses: list[float]) -> None:
    client, recording = client_of(httpx.Response(503), opened(Chunks([event(1)])))
    frames = read_all(client.workflows.executions.stream("e"))
    assert len(frames) == 1
    assert len(recording.requests) == 2
    assert len(pauses) == 1


@pytest.mark.parametrize(
    ("broken", "error"),
    [
        (httpx.ReadError("reset"), APIConnectionError),
        (httpx.RemoteProtocolError("cut"), APIConnectionError),
        (FAILURE, StreamDisconnectedError),
    ],
)
def test_a_break_is_an_error_unless_asked_otherwise(
    broken: bytes | Exception, error: type[Exception]
) -> None:
    body = Chunks([event(1), broken, event(2)])
    client, recording = client_of(opened(body))
    stream = client.workflows.executions.stream("e")
    frames: list[Any] = []
    with pytest.raises(error):
        read_all(stream, frames)
    assert len(frames) == 1
    assert body.is_closed
    assert len(recording.requests) == 1


@pytest.mark.parametrize("broken", [httpx.ReadError("reset"), FAILURE])
def test_a_reconnect_goes_on_after_the_last_event(
    broken: bytes | Exception, pauses: list[float]
) -> None:
    first = [event(1), event(2), broken]
    client, recording = client_of(opened(Chunks(first)), opened(Chunks([event(3)])))
    stream = client.workflows.executions.stream("e", reconnect=True)
    numbers = [frame.data.broker_sequence for frame in stream if frame.data]
    assert numbers == [1, 2, 3]
    assert recording.requests[1].url.params["last_event_id"] == "2"
    assert len(pauses) == 1


def test_a_reconnect_of_all_events_names_the_last_in_a_header(pauses: list[float]) -> None:
    first = [event(7), httpx.ReadError("reset")]
    client, recording = client_of(opened(Chunks(first)), opened(Chunks([event(8)])))
    stream = client.workflows.events.get_stream_events(reconnect=True)
    assert len(read_all(stream)) == 2
    assert recording.requests[1].headers["last-event-id"] == "7"
    assert "last_event_id" not in recording.requests[1].url.params


def test_an_event_without_an_id_is_no_place_to_go_on_from(pauses: list[float]) -> None:
    first = [event(1, event_id=False), httpx.ReadError("reset")]
    client, recording = client_of(opened(Chunks(first)))
    stream = client.workflows.executions.stream("e", reconnect=True)
    with pytest.raises(APIConnectionError):
        read_all(stream)
    assert len(recording.requests) == 1


def test_reconnects_end_when_nothing_comes_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import time

    now = 0.0

    def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(_synchronization, sleep.__name__, sleep)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    client, recording = client_of(lambda _: opened(Chunks([FAILURE])))
    stream = client.workflows.executions.stream("e", reconnect=True, retries=RetryConfig())
    with pytest.raises(StreamDisconnectedError):
        read_all(stream)
    assert 3600 < now < 3800
    assert len(recording.requests) > 10


def test_a_large_event_arrives_whole() -> None:
    frame = event(1, "x" * 16 * MIB)
    chunks = [frame[start : start + 65_536] for start in range(0, len(frame), 65_536)]
    client, _ = client_of(opened(Chunks(chunks)))
    (read,) = read_all(client.workflows.executions.stream("e"))
    assert len(read.data.data.attributes.payload.value) == 16 * MIB


@pytest.mark.parametrize(
    ("filters", "reason"),
    [
        ({"scope": "x"}, "the name of a parameter"),
        ({"workflow_event_types": "x"}, "the name of a parameter"),
        ({"tenant": {"name": "acme"}}, "single values"),
        ({"tenant": ["a", "b"]}, "single values"),
        ({"tenant": None}, "single values"),
    ],
)
def test_metadata_filters_that_a_query_cannot_express_are_refused(
    filters: dict[str, Any], reason: str
) -> None:
    client, recording = client_of(opened(Chunks([])))
    with pytest.raises(ValueError, match=reason):
        client.workflows.events.get_stream_events(metadata_filters=filters)
    assert not recording.requests
