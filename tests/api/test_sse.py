"""SSE frames parsed from bytes, against the official client's lines and the standard."""

from __future__ import annotations

import re
import time
import tracemalloc
from collections import deque
from itertools import chain, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistral_offload.api.sse import EventTooLargeError, Frame, FrameReader
from mistral_offload.limits import MIB


def frames(*chunks: bytes) -> list[Frame]:
    reader = FrameReader()
    return [frame for chunk in chunks for frame in reader.feed(chunk)]


def data(text: bytes) -> Frame:
    return Frame(None, None, None, text)


@pytest.mark.parametrize("end", [b"\n", b"\r", b"\r\n"])
def test_every_line_end(end: bytes) -> None:
    lines = [
        b"event: a",
        b"id: 1",
        b"retry: 5",
        b"data: x",
        b"data:y",
        b"",
        b": note",
        b"data",
        b"",
    ]
    assert frames(end.join(lines) + end) == [
        Frame("a", "1", 5, b"x\ny"),
        Frame(None, "1", None, b""),
    ]


@given(
    st.lists(st.sampled_from([b"data: a", b"id: 2", b"", b":c", b"event: \xc3\xa9", b"x"])),
    st.sampled_from([b"\n", b"\r", b"\r\n"]),
    st.lists(st.integers(0, 60)),
)
def test_pieces_do_not_matter(lines: list[bytes], end: bytes, cuts: list[int]) -> None:
    text = end.join(lines) + end
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    pieces = [text[start:stop] for start, stop in pairwise(places)]
    assert frames(*pieces) == frames(text)
    assert frames(*(text[index : index + 1] for index in range(len(text)))) == frames(text)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", []),
        (b"\n\n\n", []),
        (b": only a comment\n\n", []),
        (b"\xef\xbb\xbfdata: x\n\n", [data(b"x")]),
        (b"data: \xef\xbb\xbfx\n\n", [data(b"\xef\xbb\xbfx")]),
        (b"data:  two blanks\n\n", [data(b" two blanks")]),
        (b"Data: x\n data: y\n\n", []),
        (b"data: x\n\ndata: unended", [data(b"x")]),
        (b"data: x\n\ndata: without a blank line\n", [data(b"x")]),
        (b"data: a\r\n\ndata: b\r\r", [data(b"a"), data(b"b")]),
        (b":" + b"c" * 100 + b"\ndata: x\n\n", [data(b"x")]),
        (b"retry: soon\nid: a\0b\ndata: x\n\n", [data(b"x")]),
        (b"data: a\x0bb\x85c\xe2\x80\xa8d\n\n", [data(b"a\x0bb\x85c\xe2\x80\xa8d")]),
    ],
)
def test_by_the_standard(text: bytes, expected: list[Frame]) -> None:
    assert frames(text) == expected


def test_an_id_is_carried_over_to_what_follows() -> None:
    assert frames(b"id: 9\n\ndata: x\n\nevent: e\n\n") == [
        Frame(None, "9", None, None),
        Frame(None, "9", None, b"x"),
        Frame("e", "9", None, None),
    ]


def test_a_large_event_costs_one_pass() -> None:
    """An event is assembled once, however many pieces it arrives in."""

    def read(size: int) -> float:
        chunk = b"x" * 4096
        reader = FrameReader()
        started = time.thread_time()
        list(reader.feed(b"data: "))
        for _ in range(size // len(chunk)):
            list(reader.feed(chunk))
        (frame,) = reader.feed(b"\n\n")
        assert frame.data is not None
        assert len(frame.data) == size
        return time.thread_time() - started

    tracemalloc.start()
    read(16 * MIB)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 16 * MIB
    assert read(16 * MIB) < 2  # copying the buffer for every piece would take many seconds


def by_the_book(text: bytes, last_id: str | None) -> list[Frame]:
    """Parse a whole stream as the standard's algorithm reads, one line after the other."""
    lines = re.split(rb"\r\n|\r|\n", text.removeprefix(b"\xef\xbb\xbf"))
    found: list[Frame] = []
    event, retry, values, fields = None, None, [], 0
    for line in lines[:-1]:
        if not line:
            if fields:
                joined = b"\n".join(values) if values else None
                found.append(Frame(event, last_id, retry, joined))
            event, retry, values, fields = None, None, [], 0
            continue
        name, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if name == b"data":
            values.append(value)
        elif name == b"event":
            event = value.decode(errors="replace")
        elif name == b"id" and b"\0" not in value:
            last_id = value.decode(errors="replace")
        elif name == b"retry" and re.fullmatch(rb"[0-9]{1,18}", value):
            retry = int(value)
        else:
            continue
        fields += 1
    return found


PARTS = [
    *(b"\n", b"\r", b"\r\n", b"\n\n", b"\r\r", b"\r\n\r\n", b"\xef\xbb\xbf"),
    *(b"data: a", b"data", b"data:", b"data:  b", b"data: {}", b" data: c", b"Data: d"),
    *(b"id: 1", b"id:", b"id", b"id: \xc3\xa9", b"id: 2\0", b"event: e", b"event:", b"retry: 7"),
    *(b"retry: soon", b"retry: -1", b"retry: \xd9\xa1", b": note", b":", b"other: x", b"\0"),
]


@given(
    st.lists(st.sampled_from(PARTS) | st.binary(max_size=4), max_size=30).map(b"".join),
    st.none() | st.just("7"),
    st.lists(st.integers(0, 200)),
)
def test_streams_are_read_by_the_book(text: bytes, last_id: str | None, cuts: list[int]) -> None:
    places = sorted({min(cut, len(text)) for cut in cuts} | {0, len(text)})
    reader = FrameReader(last_id=last_id)
    found = [each for start, end in pairwise(places) for each in reader.feed(text[start:end])]
    assert found == by_the_book(text, last_id)


@pytest.mark.parametrize(
    "text",
    [
        b"data: " + b"x" * 95,
        b": " + b"x" * 99,
        b"data: x\n" * 15,
        b"event: " + b"x" * 94,
        b"\n" * 500 + b"data: x\n\n" + b"id: " + b"x" * 97,
    ],
)
@pytest.mark.parametrize("step", [1, 7, 1000])
def test_an_event_over_the_limit_is_refused_before_it_is_complete(text: bytes, step: int) -> None:
    reader = FrameReader(largest=100)
    pieces = (text[start : start + step] for start in range(0, len(text), step))
    with pytest.raises(EventTooLargeError) as caught:
        deque(chain.from_iterable(map(reader.feed, pieces)), maxlen=0)
    assert caught.value.limit == 100
    assert 100 < caught.value.size <= len(text)


def test_many_small_events_are_within_the_limit() -> None:
    reader = FrameReader(largest=30)
    text = b"id: 1\nevent: e\ndata: 12345\n\n: a comment of its own\nunknown: field\n" * 50
    assert len(list(reader.feed(text))) == 50


@pytest.mark.parametrize(
    ("text", "inside"),
    [
        (b"", False),
        (b"data: x\n\n", False),
        (b"data: x\n\n: hb", False),
        (b"data: x\n\n: hb\n", False),
        (b"data: x\n", True),
        (b"data: x\n\nid: 2", True),
        (b"data: x\n\nd", True),
    ],
)
def test_a_cut_is_noticed(text: bytes, inside: bool) -> None:
    reader = FrameReader()
    list(reader.feed(text))
    assert reader.is_inside_event is inside
