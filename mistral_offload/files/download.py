"""Writes a stored file to a local one, which is there only when it is complete; blocking."""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Generator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import BinaryIO

from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    FileError,
    LocalFileError,
    PayloadError,
)
from mistral_offload.files.part_file import discard_idle_part, open_part_file
from mistral_offload.files.progress import ProgressMeter
from mistral_offload.files.reader import ChunkWindow
from mistral_offload.files.stored_file import ChunkedFile

_UNUSABLE = re.compile(r'[\x00-\x1f/\\<>:"|?*]')
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_LONGEST_NAME_BYTES = 255
_IDENTITY_DIGITS = 16

_FINAL = (BlobNotFoundError, BlobCorruptedError, PayloadError)
"""Errors after which a download is not continued."""


def download(
    stored: ChunkedFile,
    path: Path,
    meter: ProgressMeter,
    *,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """Write a file to a path, or under its own name into a directory.

    It is written beside its place under a temporary name, and renamed at the end, so a file that
    was there is replaced as a whole or not at all. A download that is interrupted leaves this
    ``.part``, from which the next one to the same path continues: it reads what is there, and
    fetches what follows the last intact chunk.

    Args:
        stored: the file.
        path: where to write it; the file's own name is added to a directory.
        meter: counts the written bytes.
        is_cancelled: called before each chunk; True ends the transfer.

    Returns:
        The path of the file.

    Raises:
        LocalFileError: the file cannot be written there, the disk is full, or the file's own name
            cannot be used in a directory.
        StorageError: a chunk could not be read.
    """
    if path.is_dir():
        path /= require_plain_name(stored.file.name, path)
    identity = stored.file.sha256[:_IDENTITY_DIGITS]
    transfer = _Transfer(stored, meter, is_cancelled)
    with translate_os_errors("write", path):
        if path.is_dir():  # found out before the download, not by the move at its end
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        part = open_part_file(path, identity)
    with closing(part.file):
        try:
            with translate_os_errors("write", path):
                transfer.count_intact(part.file)
                _require_space(path, stored.file.size - transfer.intact_bytes)
                transfer.write_rest(part.file)
                part.move_to(path)
        except BaseException as error:
            is_continued = part.is_locked and transfer.written > 0
            if not is_continued or transfer.is_final(error):
                part.discard()
            raise
    if not part.is_locked:  # a download that had it at the beginning may have been cancelled since
        discard_idle_part(path, identity)
    meter.finish()
    return path


class _Transfer:
    """Fills the part of one file.

    Attributes:
        intact_bytes: bytes at the beginning of the part that need not be fetched.
        written: number of intact chunks in the part.
    """

    def __init__(
        self, stored: ChunkedFile, meter: ProgressMeter, is_cancelled: Callable[[], bool]
    ) -> None:
        self._stored = stored
        self._meter = meter
        self._is_cancelled = is_cancelled
        self.intact_bytes = 0
        self.written = 0

    def count_intact(self, part: BinaryIO) -> None:
        """Count the intact chunks at the beginning, and cut off the rest."""
        while self.written < self._stored.chunks:
            self._require_wanted()
            chunk = part.read(self._stored.chunk_bytes)
            if not chunk or not self._stored.is_chunk(self.written, chunk):
                break
            self._add(chunk)
            self.intact_bytes += len(chunk)
        part.seek(self.intact_bytes)
        part.truncate()

    def write_rest(self, part: BinaryIO) -> None:
        """Fetch and write all other chunks."""
        window = ChunkWindow(self._stored, ahead=self._stored.chunks)
        try:
            for index in range(self.written, self._stored.chunks):
                self._require_wanted()
                chunk = window.read(index)
                part.write(chunk)
                self._add(chunk)
        finally:
            window.close()

    def is_final(self, error: BaseException) -> bool:
        """Return True if the part is of no more use, or fills a disk."""
        has_written = self.written * self._stored.chunk_bytes > self.intact_bytes
        return isinstance(error, _FINAL) or (isinstance(error, LocalFileError) and has_written)

    def _add(self, chunk: bytes) -> None:
        self.written += 1
        self._meter.add(len(chunk))

    def _require_wanted(self) -> None:
        if self._is_cancelled():
            raise FileError(f"the download of file {self._stored.file.name!r} was cancelled")


def require_plain_name(name: str, folder: Path) -> str:
    """Return the name of a file if it names a file in a directory on every system.

    Raises:
        LocalFileError: it would name a file elsewhere, or is not usable everywhere.
    """
    is_plain = (
        name not in ("", ".", "..")
        and not _UNUSABLE.search(name)
        and not _DEVICES.fullmatch(name)
        and not name.endswith((" ", "."))
        and len(name.encode(errors="surrogatepass")) <= _LONGEST_NAME_BYTES
    )
    if not is_plain:
        raise LocalFileError(
            f"the file's own name {name!r} cannot be used in the directory {str(folder)!r}: give "
            "the path of a file instead",
            path=str(folder),
        )
    return name


@contextmanager
def translate_os_errors(operation: str, path: Path) -> Generator[None]:
    """Raise the errors of the operating system as ours.

    Raises:
        LocalFileError: instead of an ``OSError``.
    """
    try:
        yield
    except LocalFileError:
        raise
    except OSError as error:
        raise LocalFileError(
            f"cannot {operation} the local file {str(path)!r}: {error.strerror or error}",
            path=str(path),
        ) from error


def _require_space(path: Path, size: int) -> None:
    free = shutil.disk_usage(path.parent).free
    if free < size:
        raise LocalFileError(
            f"the file needs {size:,} bytes, and the disk of {str(path.parent)!r} has {free:,} "
            "bytes left",
            path=str(path),
        )
