"""Server-sent events: from bytes to frames, whatever pieces the bytes come in."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

_BOM = b"\xef\xbb\xbf"
_LONGEST_RETRY = 18


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a stream: its fields, None where it has none."""

    event: str | None
    id: str | None
    retry: int | None
    data: bytes | None


class FrameReader:
    """Puts frames together. What is not yet a line is kept in pieces and joined once."""

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
        """Take the next bytes; yield the frames they complete."""
        if self._ended_in_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        if chunk:
            self._ended_in_cr = chunk.endswith(b"\r")
        for part in chunk.splitlines(keepends=True):
            line = part.rstrip(b"\r\n")
            self._pieces.append(line)
            if len(line) < len(part):
                yield from self._end_line()

    def finish(self) -> Iterator[Frame]:
        """The stream has ended; yield a last frame that no blank line has ended."""
        if self._pieces:
            yield from self._end_line()
        yield from self._end_frame()

    def _end_line(self) -> Iterator[Frame]:
        line = self._pieces[0] if len(self._pieces) == 1 else b"".join(self._pieces)
        self._pieces.clear()
        if self._at_start:
            line, self._at_start = line.removeprefix(_BOM), False
        if line:
            self._take(line)
        else:
            yield from self._end_frame()

    def _take(self, line: bytes) -> None:
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
        elif name == b"retry" and value.isdigit() and len(value) <= _LONGEST_RETRY:
            self._retry = int(value)
        else:
            return
        self._has_fields = True

    def _end_frame(self) -> Iterator[Frame]:
        if not self._has_fields:
            return
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        frame = Frame(self._event, self._id, self._retry, data if self._data else None)
        # The id alone is carried over to the frames that follow.
        self._event = self._retry = None
        self._data, self._has_fields = [], False
        yield frame
