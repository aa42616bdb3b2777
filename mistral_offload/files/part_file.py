"""The unfinished local file of a download, which the next download of the same file continues."""

from __future__ import annotations

import os
import secrets
import stat
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_NAME_BYTES = 100
_OPEN_FLAGS = ("O_RDWR", "O_CREAT", "O_CLOEXEC", "O_NOFOLLOW")


@dataclass(frozen=True, slots=True)
class PartFile:
    """An open file beside the place of a download.

    Attributes:
        path: its path.
        file: the file, open for reading and writing at its beginning.
        is_locked: True if no other download has it while it is open; otherwise it has a name that
            no other download knows.
    """

    path: Path
    file: BinaryIO
    is_locked: bool

    def move_to(self, target: Path) -> None:
        """Close the file, and give it its place; the lock is held until it is there.

        Raises:
            OSError: the rest could not be written, or it cannot be moved there.
        """
        self.file.flush()
        if not self.is_locked:
            self.file.close()  # some systems move no open file
        os.replace(self.path, target)
        self.file.close()

    def discard(self) -> None:
        """Close and remove the file."""
        if self.is_locked:  # while the lock is held: after it, another download may have the file
            with suppress(OSError):
                self.path.unlink()
            with suppress(OSError):
                self.file.close()
            return
        with suppress(OSError):
            self.file.close()  # some systems remove no open file
        with suppress(OSError):
            self.path.unlink()


def open_part_file(target: Path, identity: str) -> PartFile:
    """Open the part that an earlier download to a path has left, or a new one.

    If another download has it at the moment, or the system has no locks, it is a new one with a
    name of its own, which no later download continues.

    Args:
        target: path of the complete file.
        identity: names the content, so that the part of another file is not used.

    Raises:
        OSError: no file can be opened there.
    """
    shared = _path(target, identity)
    file = _open_locked(shared)
    if file is not None:
        return PartFile(shared, file, is_locked=True)
    own = _path(target, secrets.token_hex(4))
    return PartFile(own, own.open("x+b"), is_locked=False)


def discard_idle_part(target: Path, identity: str) -> None:
    """Remove the part of a complete file, unless another download has it at the moment."""
    path = _path(target, identity)
    if path.exists() and (file := _open_locked(path)) is not None:
        PartFile(path, file, is_locked=True).discard()


def _path(target: Path, identity: str) -> Path:
    name = target.name.encode(errors="surrogatepass")[:_NAME_BYTES].decode(errors="ignore")
    return target.parent / f".{name}.{identity}.part"


def _open_locked(path: Path) -> BinaryIO | None:
    """Return a file that no other process has locked; None if there is none to be had."""
    try:
        import fcntl
    except ImportError:  # Windows
        return None
    flags = 0
    for name in _OPEN_FLAGS:
        flags |= getattr(os, name, 0)
    try:
        file = os.fdopen(os.open(path, flags, 0o666), "r+b")
    except OSError:  # the caller's own attempt says why
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        found = os.fstat(file.fileno())
        is_own = stat.S_ISREG(found.st_mode) and found.st_uid == os.geteuid()
        # Since it was opened, another download may have completed and moved it.
        if is_own and found.st_nlink == 1 and os.path.samestat(found, path.lstat()):
            return file
    except OSError:  # it is locked, or moved, or the file system has no locks
        pass
    file.close()
    return None
