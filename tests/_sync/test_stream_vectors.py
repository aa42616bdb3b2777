# Generated from tests/_async/test_stream_vectors.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 9c24e8be8151b21e

"""Streams of events and logs, against the official client."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from mistral_offload.api.endpoints import STREAM_EXECUTION
from mistral_offload.api.models import UnknownEvent
from mistral_offload.api.sse import FrameReader
from mistral_offload.errors import (
    MistralOffloadError,
    PayloadDecodeError,
    ResponseValidationError,
    StreamDisconnectedError,
)
from mistral_offload.payload.jsontext import load_json
from tests._sync.calls import call
from tests._sync.recorder import Recording, make_client
from tests._sync.test_response_vectors import differences
from tests.api.bodies import Chunks, opened
from tests.vectors import Case, Differences, b64, compression_of, encryption_of, load, parameters

DIFFERENCES = Differences(
    {
        "stream/*/sync": "events can be read with the blocking client, too",
        "stream/unknown_event_type/*": "an event of a new kind is kept as it came",
        "stream/unterminated_last_event/*": "the standard drops an event that no blank line ends",
    }
)

ERRORS: dict[str, type[MistralOffloadError]] = {
    "StreamDisconnectedError": StreamDisconnectedError,
    "ResponseValidationError": ResponseValidationError,
}


def cases() -> list[Case]:
    """Return every case once; the official client decodes in one form only, ours in both."""
    return [case for case in load("sse_streams") if case["mode"] == "async"]


def read(case: Case, response: httpx.Response) -> list[Any]:
    """Return the frames of a recorded stream, up to the first error, which comes last."""
    config = case["config"] or {}
    client = make_client(
        Recording([response]),
        workflow_payload_encryption=encryption_of(config),
        workflow_payload_compression=compression_of(config),
    )
    stream = call(client, "workflows." + case["operation"], case["kwargs"])
    frames: list[Any] = []
    try:
        for frame in stream:
            frames.append(frame)
    except MistralOffloadError as error:
        frames.append(error)
    return frames


@pytest.mark.parametrize(
    "case", parameters(case for case in cases() if case["name"] not in DIFFERENCES)
)
def test_stream(case: Case) -> None:
    body = Chunks(map(b64, case["chunks_b64"]))
    frames = read(case, opened(body))
    expected = case["expected"]
    if "error" in expected:
        error = frames.pop()
        assert type(error) is ERRORS[expected["error"]["class"]]
        if isinstance(error, StreamDisconnectedError):
            told = (error.reason, error.error)
            assert told == (expected["error"]["reason"], expected["error"]["detail"])
    assert len(frames) == len(expected["events"])
    for frame, wanted in zip(frames, expected["events"], strict=True):
        assert not differences(wanted, frame.model_dump(mode="json"), None)
    assert body.is_closed


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("encrypted_without_encoding", "no encryption is configured here"),
        ("undecryptable_event_left_as_is", "cannot be decrypted"),
    ],
)
def test_an_event_says_why_it_is_still_encoded(name: str, reason: str) -> None:
    (case,) = (case for case in cases() if case["name"] == f"stream/{name}/async")
    (frame,) = read(case, opened(Chunks(map(b64, case["chunks_b64"]))))
    payload = frame.data.data.attributes.payload
    assert payload.is_encoded
    assert reason in payload.decode_error
    assert "decode_error" not in payload.model_dump()


def test_unknown_kinds_of_events_are_kept() -> None:
    (case,) = (case for case in cases() if case["name"] == "stream/unknown_event_type/async")
    (frame,) = read(case, opened(Chunks(map(b64, case["chunks_b64"]))))
    assert isinstance(frame.data.data, UnknownEvent)


# Lines, one by one


LINE_DIFFERENCES = Differences(
    {
        "data/undecryptable_left_as_is": "the event says why its value is still encoded",
        "data/unknown_option_left_as_is": "the event says why its value is still encoded",
        "data/no_encryption_config_left_as_is": "the event says why its value is still encoded",
    }
)


@pytest.mark.parametrize("case", parameters(load("sse_lines")))
def test_line(case: Case) -> None:
    """The decoded data of a line, which the official client serializes back into a line."""
    (given, *_), (expected, *_) = (
        [*lines_of(b64(case[name]))] for name in ("line_b64", "expected_line_b64")
    )
    config = case["config"]
    client = make_client(
        Recording([opened(Chunks([]))]),
        workflow_payload_encryption=encryption_of(config),
        workflow_payload_compression=compression_of(config),
    )
    client.workflows._http.decode(STREAM_EXECUTION, given)
    reasons = [
        attribute.pop("decode_error")
        for attribute in attributes_of(given)
        if "decode_error" in attribute
    ]
    assert given == expected
    assert bool(reasons) == (case["name"] in LINE_DIFFERENCES)


def attributes_of(document: Any) -> list[Any]:
    """Return the attributes of the event in the data of a line that are objects."""
    event = document.get("data") if isinstance(document, dict) else None
    attributes = event.get("attributes") if isinstance(event, dict) else None
    values = attributes.values() if isinstance(attributes, dict) else ()
    return [value for value in values if isinstance(value, dict)]


def lines_of(line: bytes) -> Iterator[Any]:
    """Yield the JSON in the data of a line, or its raw bytes; then None."""
    reader = FrameReader()
    for frame in reader.feed(line + b"\n\n"):
        try:
            yield load_json(frame.data or b"null")
        except PayloadDecodeError:
            yield frame.data
    yield None


def test_listed_differences_exist() -> None:
    assert not DIFFERENCES.unused(load("sse_streams"))
    assert not LINE_DIFFERENCES.unused(load("sse_lines"))
