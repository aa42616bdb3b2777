"""Server-sent events (WHATWG HTML, section 9.2): a parser from chunks of bytes to frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_BOM = b"\xef\xbb\xbf"
_LONGEST_RETRY_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a stream.

    Attributes:
        event: the event's type, or None.
        id: id of this event, or of the latest one that had an id; None before the first.
        retry: pause before a reconnect in milliseconds, or None.
        data: the data lines joined by newlines, or None without a data line.
    """

    event: str | None
    id: str | None
    retry: int | None
    data: bytes | None


class FrameReader:
    """Incremental parser of an event stream.

    The pieces of an unfinished line are kept apart and joined once, so that a large event costs one
    pass however many chunks it arrives in.
    """

    def __init__(self) -> None:
        self._pieces: list[bytes] = []
        self._ended_in_cr = False
        self._at_start = True
        self._event: str | None = None
        self._id: str | None = None
        self._retry: int | None = None
        self._data: list[bytes] = []
        self._has_fields = False

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Add the next bytes; yield the frames they complete."""
        if self._ended_in_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        if chunk:
            self._ended_in_cr = chunk.endswith(b"\r")
        for part in chunk.splitlines(keepends=True):
            line = part.rstrip(b"\r\n")
            self._pieces.append(line)
            if len(line) < len(part):
                yield from self._finish_line()

    def finish(self) -> Iterator[Frame]:
        """End the stream; yield the last frame if no blank line has ended it."""
        if self._pieces:
            yield from self._finish_line()
        yield from self._finish_frame()

    def _finish_line(self) -> Iterator[Frame]:
        line = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        if self._at_start:
            line, self._at_start = line.removeprefix(_BOM), False
        if line:
            self._parse_field(line)
        else:
            yield from self._finish_frame()

    def _parse_field(self, line: bytes) -> None:
        colon = line.find(b":")
        if colon == 0:  # a comment
            return
        name, start = (line, len(line)) if colon < 0 else (line[:colon], colon + 1)
        value = line[start + line.startswith(b" ", start) :]
        if name == b"data":
            self._data.append(value)
        elif name == b"event":
            self._event = value.decode(errors="replace")
        elif name == b"id" and b"\0" not in value:
            self._id = value.decode(errors="replace")
        elif name == b"retry" and value.isdigit() and len(value) <= _LONGEST_RETRY_DIGITS:
            self._retry = int(value)
        else:
            return
        self._has_fields = True

    def _finish_frame(self) -> Iterator[Frame]:
        if not self._has_fields:
            return
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        frame = Frame(self._event, self._id, self._retry, data if self._data else None)
        # By the standard, later frames keep the id; all other fields start empty.
        self._event = self._retry = None
        self._data, self._has_fields = [], False
        yield frame
