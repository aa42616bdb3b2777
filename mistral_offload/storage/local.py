"""Blobs as files below one directory: for development, and for machines that share a disk."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timezone
from pathlib import Path

from mistral_offload.errors import (
    BlobNotFoundError,
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.limits import DEFAULT_STORAGE_CONNECTIONS
from mistral_offload.storage._files import (
    NotRegularError,
    open_regular,
    require_regular,
    warn_of_foreign_folder,
)
from mistral_offload.storage._local_names import folders_of, key_of, names_of
from mistral_offload.storage.store import BlobStat, BlobStore, FetchedBlob, Page

# Attempts to write into a folder that concurrent deletes of its last blob keep removing.
_ATTEMPTS = 5


_TEMPORARY_NAME_LENGTH = len(".tmp") + 17
"""Length of the name under which a blob is written."""

# The system counts a byte that ends the path. Windows has no limit that is known in advance.
_LONGEST_PATH = os.pathconf("/", "PC_PATH_MAX") - 1 if hasattr(os, "pathconf") else None


class LocalStore(BlobStore):
    """Keeps each blob as one file, readable by its owner only.

    The first put creates the directory. A blob is written to a temporary file in the same folder,
    synced to disk and then linked under its name, so neither a reader nor a crash ever sees part of
    one. On a file system without hard links, two concurrent writers of one key may both get True.

    Example::

        store = LocalStore("~/blobs")
        store.put("a/b", b"data")  # True

    Args:
        directory: where the files are kept; ``~`` is expanded.
        prefix: path put before every key.
        connections: maximum number of concurrent operations.
    """

    provider = "local"
    longest_key = _LONGEST_PATH
    key_unit = "bytes as the path of a file"

    def __init__(
        self,
        directory: str | os.PathLike[str],
        *,
        prefix: str | None = None,
        connections: int = DEFAULT_STORAGE_CONNECTIONS,
    ) -> None:
        self._directory = Path(directory).expanduser().absolute()
        self._real_directory: str | None = None
        super().__init__(str(self._directory), prefix=prefix, connections=connections)

    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        path = self._path_of(key)
        if os.path.lexists(path):
            require_regular(path)
            if not overwrite:
                return False
        folder = os.path.dirname(path)
        temporary = _write_beside(folder, data)
        try:
            if overwrite:
                os.replace(temporary, path)
            elif not _link_if_absent(temporary, path):
                return False
        finally:
            with suppress(FileNotFoundError):
                os.unlink(temporary)
        _sync_folder(folder)
        return True

    def _get(self, key: str) -> FetchedBlob:
        with open_regular(self._path_of(key)) as file:
            modified = _stat_of(key, os.fstat(file.fileno())).modified
            return FetchedBlob(file.read(), modified)

    def _stat(self, key: str) -> BlobStat:
        return _stat_of(key, require_regular(self._path_of(key)))

    def _renew(self, key: str, before: datetime | None) -> bool:
        path = self._path_of(key)
        found = _stat_of(key, require_regular(path))
        if before is not None and found.modified >= before:
            return False
        os.utime(path)
        return True

    def _delete(self, key: str) -> None:
        path = self._path_of(key)
        with suppress(FileNotFoundError):
            require_regular(path)
            os.unlink(path)
        # Remove empty folders: as in the other stores, only blobs exist.
        with suppress(OSError):
            while (path := os.path.dirname(path)) != self._root:
                os.rmdir(path)

    def _list_page(self, prefix: str, token: str | None) -> Page:
        folders = folders_of(prefix)
        return Page([blob for blob in self._blobs_below(folders) if blob.key.startswith(prefix)])

    def _translate_error(
        self, error: Exception, operation: str, key: str | None
    ) -> MistralOffloadError | None:
        if not isinstance(error, OSError):
            return None
        if isinstance(error, NotRegularError):
            return self._error(
                StorageAccessDeniedError,
                f"{operation} is refused: {error}, and blobs are kept in regular files only",
                key,
            )
        reason = os.strerror(error.errno) if error.errno else type(error).__name__
        if isinstance(error, FileNotFoundError) and operation in ("get", "stat", "renew"):
            return self._error(BlobNotFoundError, "nothing is stored under this key", key)
        if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
            return self._error(
                StorageAccessDeniedError,
                f"{operation} is not allowed ({reason}): this process needs permission to read and "
                "write the directory and everything below it",
                key,
            )
        if isinstance(error, (FileNotFoundError, NotADirectoryError, FileExistsError)):
            return StorageConfigError(
                f"the directory {self.container!r} cannot be used ({reason}): its path must name a "
                "directory, or a place where one can be created"
            )
        if error.errno == errno.ENAMETOOLONG:
            return self._error(
                StorageError, f"the key is too long for this file system ({reason})", key
            )
        return self._error(
            StorageUnavailableError,
            f"{operation} failed ({reason}): check the disk's free space and health",
            key,
        )

    def _key_length(self, key: str) -> int:
        *folders, last = names_of(key)
        folder = os.fsencode(os.path.join(self._root, *folders))
        return len(folder) + 1 + max(len(last), _TEMPORARY_NAME_LENGTH)

    def _error(self, kind: type[StorageError], text: str, key: str | None) -> StorageError:
        return kind(text, provider=self.provider, container=self.container, key=key)

    @property
    def _root(self) -> str:
        # Not a cached_property, whose lock in Python before 3.12 a fork may leave held for ever.
        if self._real_directory is None:
            self._real_directory = os.path.realpath(self._directory)
            warn_of_foreign_folder(self._real_directory, "the store's directory")
        return self._real_directory

    def _path_of(self, key: str) -> str:
        return self._path(names_of(key), key)

    def _path(self, names: list[str], key: str | None = None) -> str:
        path = os.path.join(self._root, *names)
        if os.path.realpath(path) != path:
            raise self._error(
                StorageAccessDeniedError,
                f"refused to follow a symbolic link in {path!r}: it could lead out of the "
                "store's directory",
                key,
            )
        return path

    def _blobs_below(self, folders: list[str]) -> Iterator[BlobStat]:
        """Yield every blob below the folders; skip files that this store did not write."""
        try:
            entries = os.scandir(self._path(folders))
        except FileNotFoundError:
            return
        with entries:
            for entry in entries:
                names = [*folders, entry.name]
                if entry.is_dir(follow_symlinks=False):
                    yield from self._blobs_below(names)
                elif entry.is_file(follow_symlinks=False) and (key := key_of(names)) is not None:
                    with suppress(FileNotFoundError):
                        yield _stat_of(key, entry.stat(follow_symlinks=False))


def _stat_of(key: str, found: os.stat_result) -> BlobStat:
    return BlobStat(key, found.st_size, datetime.fromtimestamp(found.st_mtime, timezone.utc))


def _write_beside(folder: str, data: bytes) -> str:
    """Write a temporary file and sync it. No key maps to a file name that begins with a dot."""
    path = os.path.join(folder, f".{secrets.token_hex(8)}.tmp")  # see _TEMPORARY_NAME_LENGTH
    file = _create_file(path)
    try:
        with open(file, "wb", buffering=0) as out:
            rest = memoryview(data)
            while rest:
                rest = rest[out.write(rest) :]
            os.fsync(file)
    except BaseException:
        with suppress(OSError):
            os.unlink(path)
        raise
    return path


def _create_file(path: str) -> int:
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    for attempt in range(_ATTEMPTS):
        try:
            return os.open(path, flags, stat.S_IRUSR | stat.S_IWUSR)
        except FileNotFoundError:
            if attempt == _ATTEMPTS - 1:
                raise
            with suppress(FileNotFoundError):
                _create_folder(os.path.dirname(path))
    raise AssertionError


def _create_folder(path: str) -> None:
    parent = os.path.dirname(path)
    try:
        os.mkdir(path, stat.S_IRWXU)
    except FileExistsError:
        return
    except FileNotFoundError:
        if parent == path:
            raise
        _create_folder(parent)
        with suppress(FileExistsError):
            os.mkdir(path, stat.S_IRWXU)
    _sync_folder(parent)


def _link_if_absent(temporary: str, path: str) -> bool:
    """Link a written file under its name; return False if the name is taken."""
    try:
        if os.name == "nt":
            os.rename(temporary, path)  # fails on Windows if the name exists
        else:
            os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
        if os.path.lexists(path):
            return False
        os.replace(temporary, path)
    return True


def _sync_folder(path: str) -> None:
    """Sync a folder so that new names in it survive a crash, where the system supports it."""
    if os.name == "nt":
        return
    with suppress(FileNotFoundError):
        folder = os.open(path, os.O_RDONLY)
        try:
            os.fsync(folder)
        finally:
            os.close(folder)
