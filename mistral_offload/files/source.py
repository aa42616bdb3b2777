"""Sources of a file's content: a local path, an open file, bytes."""

from __future__ import annotations

import io
import mimetypes
import os
import stat
import threading
from collections.abc import AsyncIterable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, cast

from mistral_offload.errors import FileChangedError, FileError, LocalFileError
from mistral_offload.files.download import translate_os_errors
from mistral_offload.files.progress import OnProgress


@dataclass(frozen=True, slots=True)
class FileSource:
    """Content that can be read, and what is known of it beforehand.

    Attributes:
        name: name of the file.
        content_type: media type, or None.
        size: size in bytes, or None if it is known at the end.
        path: local path, or None.
        content: the open file, or the bytes, of a source without a path.
        stream: the pieces of a source that only async code can read.
        start: position of the open file at which the content begins; None if it can be read once.
        begun: set when a content that can be read once has been read.
        on_progress: called with the progress of storing it.
    """

    name: str
    content_type: str | None
    size: int | None
    path: Path | None = None
    content: BinaryIO | bytes | None = None
    stream: AsyncIterable[bytes] | None = None
    start: int | None = None
    begun: threading.Event = field(default_factory=threading.Event, compare=False, repr=False)
    on_progress: OnProgress | None = field(default=None, compare=False, repr=False)

    @contextmanager
    def open(self) -> Generator[BinaryIO]:
        """Open the content for reading; afterwards it must be what it was before.

        Raises:
            FileError: only async code can read it, or it can be read once and was read.
            LocalFileError: the file cannot be read.
            FileChangedError: the file changed meanwhile.
        """
        if self.stream is not None:
            raise FileError(
                f"file {self.name!r} is made of an async iterator, and only async code can store it"
            )
        if isinstance(self.content, bytes):
            yield io.BytesIO(self.content)
        elif self.content is not None:
            if self.start is None:
                self.begin()
            else:
                self.content.seek(self.start)
            yield self.content
        elif self.path is not None:
            with translate_os_errors("read", self.path):
                opened = self.path.open("rb", buffering=0)
            with opened:
                before = os.fstat(opened.fileno())
                yield opened  # unbuffered, and read in large pieces
                self._require_unchanged(before, os.fstat(opened.fileno()), self.path)

    def begin(self) -> None:
        """Note that a content is read that can be read once.

        Raises:
            FileError: it was read before.
        """
        if self.begun.is_set():
            raise FileError(
                f"file {self.name!r} is made of something that can be read once, and was read: "
                "make another one, or store it in a local file first"
            )
        self.begun.set()

    def require_all(self, size: int) -> None:
        """Check that all of a content of known size was read.

        Args:
            size: the bytes that were read.

        Raises:
            FileChangedError: there were more or fewer.
        """
        if self.size is not None and size != self.size:
            raise FileChangedError(
                f"file {self.name!r} had {self.size:,} bytes when it was made, and {size:,} were "
                "read: it changed meanwhile, or another reader moved its position"
            )

    @staticmethod
    def _require_unchanged(before: os.stat_result, after: os.stat_result, path: Path) -> None:
        if (before.st_size, before.st_mtime_ns) != (after.st_size, after.st_mtime_ns):
            raise FileChangedError(
                f"the local file {str(path)!r} changed while it was read: it had "
                f"{before.st_size:,} bytes before and {after.st_size:,} after. Send a copy that no "
                "process writes to"
            )


def source_of_path(path: str | os.PathLike[str], name: str | None, kind: str | None) -> FileSource:
    """Return the source of a regular file.

    Raises:
        LocalFileError: there is no regular file at the path.
    """
    local = Path(path)
    with translate_os_errors("read", local):
        found = local.stat()
    if not stat.S_ISREG(found.st_mode):
        raise LocalFileError(
            f"{str(local)!r} is not a regular file: open it, and use from_file", path=str(local)
        )
    return FileSource(name or local.name, kind or _guess(name or local.name), found.st_size, local)


def source_of_file(file: BinaryIO, name: str | None, kind: str | None) -> FileSource:
    """Return the source of an open file, from its position on.

    Raises:
        FileError: it is not open for reading bytes.
    """
    try:
        nothing = cast("object", file.read(0))
    except (AttributeError, OSError, ValueError) as error:
        raise FileError(
            f"from_file takes a file that is open for reading bytes, not {type(file).__name__}"
        ) from error
    if not isinstance(nothing, bytes):
        raise FileError('from_file takes a file of bytes, and this one is text: open it with "rb"')
    given = getattr(file, "name", None)
    name = name or (os.path.basename(given) if isinstance(given, str) else "") or "file"
    if not _is_seekable(file):
        return FileSource(name, kind or _guess(name), None, content=file)
    start = file.tell()
    size = file.seek(0, io.SEEK_END) - start
    file.seek(start)
    return FileSource(name, kind or _guess(name), size, content=file, start=start)


def source_of_bytes(data: bytes, name: str, kind: str | None) -> FileSource:
    """Return the source of content in memory."""
    return FileSource(name, kind or _guess(name), len(data), None, data)


def source_of_stream(pieces: AsyncIterable[bytes], name: str, kind: str | None) -> FileSource:
    """Return the source of an async iterator.

    Raises:
        FileError: it is not an async iterator.
    """
    if not hasattr(pieces, "__aiter__"):
        raise FileError(
            f"from_stream takes an async iterator of bytes, not {type(pieces).__name__}"
        )
    return FileSource(name, kind or _guess(name), None, stream=pieces)


def _is_seekable(file: BinaryIO) -> bool:
    try:
        return bool(file.seekable())
    except AttributeError:
        return False


def _guess(name: str) -> str | None:
    return mimetypes.guess_type(name)[0]
