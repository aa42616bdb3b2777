"""Streams that break, end, or are no longer read."""

from __future__ import annotations

import gc
import zlib
from collections.abc import AsyncIterable
from typing import Any

import httpx
import pytest

from mistral_offload import Mistral, RetryConfig, _synchronization
from mistral_offload.errors import (
    APIConnectionError,
    NotFoundError,
    ResponseTooLargeError,
    ResponseValidationError,
    StreamDisconnectedError,
)
from mistral_offload.limits import MIB
from mistral_offload.payload.jsontext import dump_json
from tests._async.recorder import Recording, ScriptedResponse, make_client
from tests.api.bodies import Chunks, opened


@pytest.fixture
def pauses(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    taken: list[float] = []

    async def sleep_async(seconds: float) -> None:
        taken.append(seconds)

    monkeypatch.setattr(_synchronization, sleep_async.__name__, sleep_async)
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


async def read_all_async(stream: AsyncIterable[Any], frames: list[Any] | None = None) -> list[Any]:
    frames = [] if frames is None else frames
    async for frame in stream:
        frames.append(frame)
    return frames


async def test_reading_closes_at_the_end() -> None:
    body = Chunks([event(1), event(2)])
    client, _ = client_of(opened(body))
    stream = await client.workflows.executions.stream_async("e")
    assert not body.is_closed
    numbers = [frame.data.broker_sequence async for frame in stream if frame.data]
    assert numbers == [1, 2]
    assert body.is_closed
    assert await read_all_async(stream) == []


async def test_a_with_block_closes() -> None:
    body = Chunks([event(1), event(2)])
    client, _ = client_of(opened(body))
    async with await client.workflows.executions.stream_async("e") as stream:
        async for _ in stream:
            break
        assert not body.is_closed
    assert body.is_closed


async def test_a_stream_that_nobody_holds_is_closed() -> None:
    body = Chunks([event(1), event(2)])
    client, _ = client_of(opened(body))
    async for _ in await client.workflows.events.get_stream_events_async():
        break
    gc.collect()
    await _synchronization.sleep_async(0)  # lets the closing task run
    await _synchronization.sleep_async(0)
    assert body.is_closed


async def test_a_refusal_is_an_error_before_anything_is_read() -> None:
    client, recording = client_of(httpx.Response(404, json={"detail": "no such execution"}))
    with pytest.raises(NotFoundError, match="no such execution"):
        await client.workflows.executions.stream_async("e")
    assert len(recording.requests) == 1


async def test_an_answer_that_is_no_stream_is_refused() -> None:
    client, _ = client_of(httpx.Response(200, json={}))
    with pytest.raises(ResponseValidationError, match="did not return a stream"):
        await client.workflows.executions.stream_async("e")


async def test_opening_is_retried(pauses: list[float]) -> None:
    client, recording = client_of(httpx.Response(503), opened(Chunks([event(1)])))
    frames = await read_all_async(await client.workflows.executions.stream_async("e"))
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
async def test_a_break_is_an_error_unless_asked_otherwise(
    broken: bytes | Exception, error: type[Exception]
) -> None:
    body = Chunks([event(1), broken, event(2)])
    client, recording = client_of(opened(body))
    stream = await client.workflows.executions.stream_async("e")
    frames: list[Any] = []
    with pytest.raises(error):
        await read_all_async(stream, frames)
    assert len(frames) == 1
    assert body.is_closed
    assert len(recording.requests) == 1


@pytest.mark.parametrize("broken", [httpx.ReadError("reset"), FAILURE])
async def test_a_reconnect_goes_on_after_the_last_event(
    broken: bytes | Exception, pauses: list[float]
) -> None:
    first = [event(1), event(2), broken]
    client, recording = client_of(opened(Chunks(first)), opened(Chunks([event(3)])))
    stream = await client.workflows.executions.stream_async("e", reconnect=True)
    numbers = [frame.data.broker_sequence async for frame in stream if frame.data]
    assert numbers == [1, 2, 3]
    assert recording.requests[1].url.params["last_event_id"] == "2"
    assert len(pauses) == 1


async def test_a_reconnect_of_all_events_names_the_last_in_a_header(pauses: list[float]) -> None:
    first = [event(7), httpx.ReadError("reset")]
    client, recording = client_of(opened(Chunks(first)), opened(Chunks([event(8)])))
    stream = await client.workflows.events.get_stream_events_async(reconnect=True)
    assert len(await read_all_async(stream)) == 2
    assert recording.requests[1].headers["last-event-id"] == "7"
    assert "last_event_id" not in recording.requests[1].url.params


async def test_an_event_without_an_id_is_no_place_to_go_on_from(pauses: list[float]) -> None:
    first = [event(1, event_id=False), httpx.ReadError("reset")]
    client, recording = client_of(opened(Chunks(first)))
    stream = await client.workflows.executions.stream_async("e", reconnect=True)
    with pytest.raises(APIConnectionError):
        await read_all_async(stream)
    assert len(recording.requests) == 1


async def test_reconnects_end_when_nothing_comes_any_more(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import time

    now = 0.0

    async def sleep_async(seconds: float) -> None:
        nonlocal now
        now += seconds

    monkeypatch.setattr(_synchronization, sleep_async.__name__, sleep_async)
    monkeypatch.setattr(time, "monotonic", lambda: now)
    client, recording = client_of(lambda _: opened(Chunks([FAILURE])))
    stream = await client.workflows.executions.stream_async(
        "e", reconnect=True, retries=RetryConfig()
    )
    with pytest.raises(StreamDisconnectedError):
        await read_all_async(stream)
    assert 3600 < now < 3800
    assert len(recording.requests) > 10


async def test_a_large_event_arrives_whole() -> None:
    frame = event(1, "x" * 16 * MIB)
    chunks = [frame[start : start + 65_536] for start in range(0, len(frame), 65_536)]
    client, _ = client_of(opened(Chunks(chunks)))
    (read,) = await read_all_async(await client.workflows.executions.stream_async("e"))
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
async def test_metadata_filters_that_a_query_cannot_express_are_refused(
    filters: dict[str, Any], reason: str
) -> None:
    client, recording = client_of(opened(Chunks([])))
    with pytest.raises(ValueError, match=reason):
        await client.workflows.events.get_stream_events_async(metadata_filters=filters)
    assert not recording.requests


class Cut:
    """A body of an event stream, and the way in which the connection ends."""

    def __init__(self, *chunks: bytes, breaks: bool = False) -> None:
        error = httpx.RemoteProtocolError("cut")
        self.response = opened(Chunks([*chunks, *([error] if breaks else [])]))


async def read_over_reconnects_async(*bodies: Cut, **options: Any) -> tuple[list[Any], list[Any]]:
    """Return the number and id of each event, and the ids after which the requests resumed."""
    client, recording = client_of(*(body.response for body in bodies))
    stream = await client.workflows.executions.stream_async("e", reconnect=True, **options)
    frames = [
        (frame.data.broker_sequence, frame.id)
        for frame in await read_all_async(stream)
        if frame.data
    ]
    return frames, [request.url.params.get("last_event_id") for request in recording.requests]


async def test_an_id_persists_over_reconnects(pauses: list[float]) -> None:
    found = await read_over_reconnects_async(
        Cut(event(1), breaks=True), Cut(event(2, event_id=False), breaks=True), Cut(event(3))
    )
    assert found == ([(1, "1"), (2, "1"), (3, "3")], [None, "1", "1"])


async def test_the_callers_id_persists_as_well(pauses: list[float]) -> None:
    found = await read_over_reconnects_async(
        Cut(event(2, event_id=False), breaks=True), Cut(event(3)), last_event_id="1"
    )
    assert found == ([(2, "1"), (3, "3")], ["1", "1"])


@pytest.mark.parametrize("start", [None, "0"])
async def test_an_empty_id_takes_ids_back(start: str | None, pauses: list[float]) -> None:
    found = await read_over_reconnects_async(
        Cut(event(1), b"id:\n" + event(2, event_id=False), breaks=True),
        Cut(event(3)),
        last_event_id=start,
    )
    assert found == ([(1, "1"), (2, ""), (3, "3")], [start, None])


async def test_an_id_with_nul_is_ignored(pauses: list[float]) -> None:
    found = await read_over_reconnects_async(
        Cut(event(1), b"id: 2\0\n" + event(2, event_id=False), breaks=True), Cut(event(3))
    )
    assert found == ([(1, "1"), (2, "1"), (3, "3")], [None, "1"])


async def test_half_an_event_at_the_end_is_dropped(
    pauses: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    cut = event(2)[:40]
    found = await read_over_reconnects_async(Cut(event(1), cut), Cut(event(2)))
    assert found == ([(1, "1"), (2, "2")], [None, "1"])

    client, _ = client_of(opened(Chunks([event(1), cut])))
    frames = await read_all_async(await client.workflows.executions.stream_async("e"))
    assert [frame.id for frame in frames] == ["1"]
    assert "in the middle of an event" in caplog.text


async def test_blank_events_keep_the_stream_alive(pauses: list[float]) -> None:
    blanks = [b"event: ping\ndata:\n\n", b"data\n\n", b"data: \ndata:\n\n", b"id: 5\ndata:\n\n"]
    found = await read_over_reconnects_async(Cut(event(1), *blanks, breaks=True), Cut(event(6)))
    assert found == ([(1, "1"), (6, "6")], [None, "5"])


@pytest.mark.parametrize(
    "media_type", ["Text/Event-Stream", "text/event-stream;charset=UTF-8", " TEXT/EVENT-STREAM ; a"]
)
async def test_media_types_have_no_case(media_type: str) -> None:
    response = httpx.Response(200, stream=Chunks([event(1)]), headers={"content-type": media_type})
    client, _ = client_of(response)
    assert len(await read_all_async(await client.workflows.executions.stream_async("e"))) == 1


async def test_a_reconnect_waits_as_long_as_the_platform_asks(pauses: list[float]) -> None:
    bodies = Cut(b"retry: 7000\n" + event(1), breaks=True), Cut(event(2))
    assert (await read_over_reconnects_async(*bodies))[0] == [(1, "1"), (2, "2")]
    assert pauses == [7.0]


async def test_a_pause_that_is_too_long_ends_the_stream(pauses: list[float]) -> None:
    first = [b"retry: 999999999999\n" + event(1), FAILURE]
    client, recording = client_of(opened(Chunks(first)))
    stream = await client.workflows.executions.stream_async("e", reconnect=True)
    with pytest.raises(StreamDisconnectedError):
        await read_all_async(stream)
    assert (len(recording.requests), pauses) == (1, [])


async def test_an_id_of_any_characters_is_sent_in_a_header(pauses: list[float]) -> None:
    first = [b"id: \xc3\xa9 7\n" + event(7, event_id=False), httpx.ReadError("reset")]
    client, recording = client_of(opened(Chunks(first)), opened(Chunks([event(8)])))
    stream = await client.workflows.events.get_stream_events_async(
        reconnect=True, http_headers={"Last-Event-ID": "given", "X-Own": "kept"}
    )
    assert len(await read_all_async(stream)) == 2
    headers = recording.requests[1].headers
    assert [value for name, value in headers.raw if name.lower() == b"last-event-id"] == [
        "é 7".encode()
    ]
    assert headers["x-own"] == "kept"


async def test_events_before_one_that_is_too_large_arrive() -> None:
    body = Chunks([event(1) + event(2, "x" * MIB)])
    recording = Recording([opened(body)])
    client = make_client(recording, max_response_bytes=MIB // 2)
    stream = await client.workflows.executions.stream_async("e", reconnect=True)
    frames: list[Any] = []
    with pytest.raises(ResponseTooLargeError) as caught:
        await read_all_async(stream, frames)
    assert len(frames) == 1
    assert caught.value.limit == MIB // 2
    assert caught.value.size > MIB
    assert body.is_closed
    assert len(recording.requests) == 1


async def test_a_compressed_stream_is_read_as_it_arrives() -> None:
    compressor = zlib.compressobj(wbits=16 + zlib.MAX_WBITS)
    chunks = [
        compressor.compress(event(number)) + compressor.flush(zlib.Z_SYNC_FLUSH)
        for number in (1, 2)
    ]
    headers = {"content-type": "text/event-stream", "content-encoding": "gzip"}
    broken = httpx.ReadError("reset")
    client, _ = client_of(httpx.Response(200, stream=Chunks([*chunks, broken]), headers=headers))
    frames: list[Any] = []
    with pytest.raises(APIConnectionError):
        await read_all_async(await client.workflows.executions.stream_async("e"), frames)
    assert [frame.id for frame in frames] == ["1", "2"]


async def test_a_response_without_content_ends_reconnects(pauses: list[float]) -> None:
    first = [event(1), httpx.ReadError("reset")]
    client, recording = client_of(opened(Chunks(first)), httpx.Response(204))
    stream = await client.workflows.executions.stream_async("e", reconnect=True)
    assert len(await read_all_async(stream)) == 1
    assert await read_all_async(stream) == []
    assert len(recording.requests) == 2

    client, _ = client_of(httpx.Response(204))
    with pytest.raises(ResponseValidationError):
        await client.workflows.executions.stream_async("e", reconnect=True)
