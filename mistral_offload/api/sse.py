"""Server-sent events (WHATWG HTML, section 9.2): a parser from chunks of bytes to frames."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from mistral_offload.limits import DEFAULT_MAX_RESPONSE_BYTES

_BOM = b"\xef\xbb\xbf"
_LONGEST_RETRY_DIGITS = 18


@dataclass(frozen=True, slots=True)
class Frame:
    """One event of a stream.

    Attributes:
        event: the event's type, or None.
        id: id of this event, or of the latest one that had an id; None before the first. An empty
            id means that a reconnect must name no event.
        retry: pause before a reconnect in milliseconds, or None.
        data: the data lines joined by newlines, or None without a data line.
    """

    event: str | None
    id: str | None
    retry: int | None
    data: bytes | None

    @property
    def is_keep_alive(self) -> bool:
        """True if the data is blank; by the standard such an event is not delivered."""
        return self.data is not None and not self.data.strip()


class EventTooLargeError(Exception):
    """An event, or one line, is larger than allowed.

    Attributes:
        size: bytes read when the limit was exceeded.
        limit: most bytes of an event.
    """

    def __init__(self, size: int, limit: int) -> None:
        super().__init__(f"{size:,} bytes, over the limit of {limit:,} bytes")
        self.size = size
        self.limit = limit


class FrameReader:
    """Incremental parser of an event stream.

    A large event costs one pass however many chunks it arrives in.

    Args:
        last_id: id of the last event of the stream that this one continues.
        largest: most bytes of one event.
    """

    def __init__(
        self, *, last_id: str | None = None, largest: int = DEFAULT_MAX_RESPONSE_BYTES
    ) -> None:
        self._largest = largest
        self._held = 0
        """Bytes of the unfinished event's complete lines."""
        self._line = bytearray()
        self._ended_in_cr = False
        self._at_start = True
        self._event: str | None = None
        self._id = last_id
        self._retry: int | None = None
        self._data: list[bytes] = []
        self._has_fields = False

    def feed(self, chunk: bytes) -> Iterator[Frame]:
        """Add the next bytes; yield the frames they complete.

        Raises:
            EventTooLargeError: an event, or one line, is larger than allowed.
        """
        if not chunk:
            return
        if self._ended_in_cr and chunk.startswith(b"\n"):
            chunk = chunk[1:]
        self._ended_in_cr = chunk.endswith(b"\r")
        for part in chunk.splitlines(keepends=True):
            line = part.rstrip(b"\r\n")
            size = self._held + len(self._line) + len(line)
            if size > self._largest:
                raise EventTooLargeError(size, self._largest)
            if len(line) == len(part):
                self._line += line
            else:
                if self._line:
                    self._line += line
                    line = bytes(self._line)
                    self._line = bytearray()
                yield from self._finish_line(line)

    @property
    def is_inside_event(self) -> bool:
        """True if a stream that ended here was cut: by the standard, half an event is dropped."""
        return self._has_fields or bool(self._line and not self._line.startswith(b":"))

    def _finish_line(self, line: bytes) -> Iterator[Frame]:
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
        self._held += len(line)

    def _finish_frame(self) -> Iterator[Frame]:
        if not self._has_fields:
            return
        data = self._data[0] if len(self._data) == 1 else b"\n".join(self._data)
        frame = Frame(self._event, self._id, self._retry, data if self._data else None)
        # By the standard, later frames keep the id; all other fields start empty.
        self._event = self._retry = None
        self._data, self._has_fields, self._held = [], False, 0
        yield frame
