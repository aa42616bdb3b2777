"""Refuses links, FIFOs and folders in place of files; warns of directories of other users."""

from __future__ import annotations

import logging
import os
import stat
from typing import BinaryIO

_logger = logging.getLogger("mistral_offload.storage")

_READ = (
    os.O_RDONLY
    | getattr(os, "O_BINARY", 0)
    | getattr(os, "O_CLOEXEC", 0)
    | getattr(os, "O_NOFOLLOW", 0)
    | getattr(os, "O_NONBLOCK", 0)  # opening a FIFO would wait for a writer
)


class NotRegularError(OSError):
    """The path names something that is there but is no regular file, such as a FIFO or a folder."""


def open_regular(path: str | os.PathLike[str]) -> BinaryIO:
    """Open a regular file for reading, without a buffer.

    Raises:
        NotRegularError: it is a link, a folder, a FIFO, a socket or a device.
        OSError: it cannot be opened, for example because it does not exist.
    """
    require_regular(path)
    file = os.open(path, _READ)
    try:
        if not stat.S_ISREG(os.fstat(file).st_mode):  # exchanged since it was looked at
            raise _not_regular(path)
        return open(file, "rb", buffering=0)
    except BaseException:
        os.close(file)
        raise


def require_regular(path: str | os.PathLike[str]) -> os.stat_result:
    """Return the status of a regular file.

    Raises:
        NotRegularError: the path names something else.
        OSError: it cannot be read, for example because it does not exist.
    """
    found = os.lstat(path)
    if not stat.S_ISREG(found.st_mode):
        raise _not_regular(path)
    return found


def warn_of_foreign_folder(path: str | os.PathLike[str], purpose: str) -> None:
    """Warn if other users of this machine can change the files of a folder, if it exists.

    Args:
        path: the folder.
        purpose: its use, for the text.
    """
    try:
        found = os.stat(path)
    except OSError:
        return
    if not hasattr(os, "geteuid"):  # Windows: neither owners nor modes
        return
    if found.st_uid not in (os.geteuid(), 0):
        problem = f"belongs to another user (uid {found.st_uid})"
    elif found.st_mode & stat.S_IWOTH:
        problem = "can be written by every user"
    else:
        return
    _logger.warning(
        "%s %s %s of this machine, who can remove and replace its files: use one that belongs to "
        "this process's user and has mode 700",
        purpose,
        os.fspath(path),
        problem,
    )


def _not_regular(path: str | os.PathLike[str]) -> NotRegularError:
    return NotRegularError(f"{os.fspath(path)} is not a regular file")
