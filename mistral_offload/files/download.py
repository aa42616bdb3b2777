"""Writes a stored file to a local one, which is there only when it is complete; blocking."""

from __future__ import annotations

import os
import re
import secrets
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from mistral_offload.errors import FileError, LocalFileError
from mistral_offload.files.progress import ProgressMeter
from mistral_offload.files.reader import ChunkWindow
from mistral_offload.files.stored_file import ChunkedFile

_UNUSABLE = re.compile(r'[\x00-\x1f/\\<>:"|?*]')
_DEVICES = re.compile(r"(?i)(con|prn|aux|nul|com[0-9]|lpt[0-9])(\..*)?")
_LONGEST_NAME_BYTES = 255


def download(
    stored: ChunkedFile,
    path: Path,
    meter: ProgressMeter,
    *,
    is_cancelled: Callable[[], bool] = lambda: False,
) -> Path:
    """Write a file to a path, or under its own name into a directory.

    It is written beside its place under a temporary name, and renamed at the end, so a file that
    was there is replaced as a whole or not at all.

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
        StorageError: a chunk could not be read; nothing is left of the transfer.
    """
    if path.is_dir():
        path /= require_plain_name(stored.file.name, path)
    part = path.parent / f".{path.name[:100]}.{secrets.token_hex(4)}.part"
    with translate_os_errors("write", path):
        _require_space(path, stored.file.size)
        target = part.open("xb")
    try:
        with translate_os_errors("write", path), target:
            _write_chunks(stored, target, meter, is_cancelled)
        with translate_os_errors("write", path):
            os.replace(part, path)
    except BaseException:
        with suppress(OSError):
            part.unlink()
        raise
    meter.finish()
    return path


def _write_chunks(
    stored: ChunkedFile, target: BinaryIO, meter: ProgressMeter, is_cancelled: Callable[[], bool]
) -> None:
    window = ChunkWindow(stored, ahead=stored.chunks)
    try:
        for index in range(stored.chunks):
            if is_cancelled():
                raise FileError(f"the download of file {stored.file.name!r} was cancelled")
            chunk = window.read(index)
            target.write(chunk)
            meter.add(len(chunk))
    finally:
        window.close()


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
            f"the file has {size:,} bytes, and the disk of {str(path.parent)!r} has {free:,} bytes "
            "left",
            path=str(path),
        )
