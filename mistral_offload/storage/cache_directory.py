"""Disk cache of blobs, shared by the processes of one machine.

Files are named by the digest of their content and verified when they are read. So a crash, a
concurrent writer or a disk fault costs a download, never a wrong byte. No error of the cache fails
an operation: without the directory, more blobs are fetched.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import secrets
import stat
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from mistral_offload._digests import sha256_hex
from mistral_offload.limits import DEFAULT_CACHE_DIRECTORY_BYTES
from mistral_offload.storage._files import open_regular, require_regular, warn_of_foreign_folder

_logger = logging.getLogger("mistral_offload.storage")

_OUR_FOLDERS = re.compile(r"[0-9a-f]{2}")
_OUR_FILES = re.compile(r"[0-9a-f]{64}|\.[0-9a-f]{16}-[0-9a-f]{16}")
_UNFINISHED_SECONDS = 3600.0
"""Age from which an unfinished file is taken to be left over from a crash."""

_NEW_FILE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)

_CLEAR_TO_SHARE = 0.9
"""Share of the bound down to which files are removed, so that not every write has to scan."""


class CacheDirectory:
    """Keeps about ``max_bytes`` of blobs at most; removes the least recently used first."""

    def __init__(self, path: Path, *, max_bytes: int = DEFAULT_CACHE_DIRECTORY_BYTES) -> None:
        self._path = path
        self._max_bytes = max_bytes
        self._lock = threading.Lock()
        self._bytes_until_scan = 0
        """Bytes that may be written before the directory has to be scanned again."""
        self._warned = False
        self._checked = False

    def get(self, digest: str) -> bytes | None:
        """Return the blob with this SHA-256 (hex), or None."""
        file = self._file(digest)
        try:
            self._check_folder(file.parent)
            with open_regular(file) as opened:
                data = opened.read()
            if sha256_hex(data) != digest:
                file.unlink(missing_ok=True)
                return None
        except FileNotFoundError:
            return None
        except OSError as error:
            self._warn(error)
            return None
        with contextlib.suppress(OSError):  # another user's file, or just removed
            os.utime(file)  # marks it as used
        return data

    def idle_seconds(self, digest: str) -> float:
        """Return the time since a blob was last used; 0 if it is not here."""
        try:
            return max(0.0, time.time() - self._file(digest).lstat().st_mtime)
        except OSError:
            return 0.0

    def put(self, digest: str, data: bytes) -> None:
        """Store a blob, unless it is present already or too large for the directory."""
        if len(data) > self._max_bytes * _CLEAR_TO_SHARE:
            return
        file = self._file(digest)
        try:
            if _is_regular(file):
                return
            self._make_room(len(data))
            self._path.mkdir(mode=0o700, parents=True, exist_ok=True)
            file.parent.mkdir(mode=0o700, exist_ok=True)
            self._check_folder(file.parent)
            unfinished = file.with_name(f".{digest[:16]}-{secrets.token_hex(8)}")
            try:
                with open(os.open(unfinished, _NEW_FILE, 0o600), "wb") as output:
                    output.write(data)
                os.replace(unfinished, file)
            except BaseException:
                with contextlib.suppress(OSError):
                    unfinished.unlink()
                raise
        except OSError as error:
            self._warn(error)

    def _file(self, digest: str) -> Path:
        return self._path / digest[:2] / digest

    def _make_room(self, size: int) -> None:
        with self._lock:
            self._bytes_until_scan -= size
            if self._bytes_until_scan >= 0:
                return
            held = self._clear_to(int(self._max_bytes * _CLEAR_TO_SHARE) - size)
            # Other processes write too: scan again after a tenth of the bound at the latest.
            self._bytes_until_scan = min(self._max_bytes - held - size, self._max_bytes // 10)

    def _clear_to(self, allowed: int) -> int:
        """Remove the least recently used files beyond ``allowed`` bytes; return the bytes kept."""
        found: list[tuple[float, int, Path]] = []
        abandoned = time.time() - _UNFINISHED_SECONDS
        for file in self._files():
            with contextlib.suppress(OSError):  # another process may have removed it
                status = file.lstat()
                if file.name.startswith(".") and status.st_mtime < abandoned:
                    file.unlink()
                else:
                    found.append((status.st_mtime, status.st_size, file))
        held = sum(size for _, size, _ in found)
        for _, size, file in sorted(found):
            if held <= allowed:
                break
            with contextlib.suppress(OSError):
                file.unlink(missing_ok=True)
                held -= size
        return held

    def _files(self) -> Iterator[Path]:
        """Yield the files that a cache has written; nothing behind links, nothing of others."""
        for folder in _entries(self._path):
            if _OUR_FOLDERS.fullmatch(folder.name) and folder.is_dir(follow_symlinks=False):
                for file in _entries(folder):
                    if _OUR_FILES.fullmatch(file.name) and file.is_file(follow_symlinks=False):
                        yield Path(file.path)

    def _check_folder(self, folder: Path) -> None:
        """Check a folder of the cache; at the first use also the cache's directory.

        Raises:
            OSError: it does not exist, or is a link, which could lead anywhere.
        """
        if not self._checked:
            self._checked = True
            warn_of_foreign_folder(self._path, "the cache directory")
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise NotADirectoryError(f"{folder} is not a folder; links are not followed")

    def _warn(self, error: OSError) -> None:
        if not self._warned:
            self._warned = True
            _logger.warning(
                "cache directory %s failed, so more blobs are fetched from the store: %s",
                self._path,
                error,
            )


def _is_regular(file: Path) -> bool:
    try:
        require_regular(file)
    except OSError:
        return False
    return True


def _entries(folder: str | os.PathLike[str]) -> list[os.DirEntry[str]]:
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except OSError:
        return []
