"""SSE frames parsed from bytes, against the official client's lines and the standard."""

from __future__ import annotations

import time
import tracemalloc
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistral_offload.api.sse import Frame, FrameReader
from mistral_offload.limits import MIB


def frames(*chunks: bytes) -> list[Frame]:
    reader = FrameReader()
    return [frame for chunk in chunks for frame in reader.feed(chunk)] + list(reader.finish())


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
        (b"data: unended", [data(b"unended")]),
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
