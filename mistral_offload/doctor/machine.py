"""Checks of this machine: cache directories, and the limit of open files."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mistral_offload.doctor.configured_stores import ConfiguredStore
from mistral_offload.doctor.findings import Check, Verdict, not_checked, ok, warning

_OTHER_FILES = 256
"""Open files beyond the stores' connections: Temporal, platform, modules, logs, user's own."""


class MachineChecks:
    """Checks this machine for the current user; needs no network."""

    def __init__(self, stores: Sequence[ConfiguredStore], *, may_write: bool) -> None:
        self._stores = stores
        self._may_write = may_write

    def checks(self) -> list[Check]:
        """Return the check of open files, and one for each cache directory."""
        found = [Check("machine.files", "machine: open files", self._files)]
        seen: set[Path] = set()
        for store in self._stores:
            directory = store.config.cache_directory
            if directory is not None and directory not in seen and not store.is_read_also:
                seen.add(directory)
                found.append(self._cache_check(store, directory))
        return found

    def _cache_check(self, store: ConfiguredStore, directory: Path) -> Check:
        async def examine() -> Verdict:
            return await asyncio.to_thread(
                check_cache_directory,
                directory,
                size=store.config.cache_directory_bytes,
                variables=store.variables,
                may_write=self._may_write,
            )

        return store.check("cache_directory", "cache directory", examine)

    async def _files(self) -> Verdict:
        try:
            import resource
        except ImportError:
            return not_checked("this system has no such limit")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        connections = {store.config: store.config.connections for store in self._stores}
        needed = sum(connections.values()) + _OTHER_FILES
        if soft == resource.RLIM_INFINITY:
            return ok("unlimited")
        if soft >= needed:
            return ok(f"{soft:,} allowed, up to {needed:,} needed")
        return warning(
            f"{soft:,} allowed; the stores' connections and other files may need {needed:,}",
            f"raise the limit (ulimit -n {needed}; the hard limit is {hard:,}), or lower "
            "…__STORAGE_CONFIG__CONNECTIONS",
        )


def check_cache_directory(
    directory: Path, *, size: int, variables: str, may_write: bool
) -> Verdict:
    """Check that a directory can hold a cache.

    Args:
        directory: the directory; workers create it with the first blob if it does not exist.
        size: the largest size of the cache, in bytes.
        variables: common beginning of the names of its variables.
        may_write: test writing with a temporary file; otherwise only permissions are checked.
    """
    name = f"{variables}__CACHE_DIRECTORY"
    try:
        base = next(path for path in (directory, *directory.absolute().parents) if path.exists())
        _require_writable(base, with_file=may_write and base == directory)
    except OSError as error:
        # A warning, since workers run without the cache; they only fetch more.
        return warning(
            f"{str(directory)!r} cannot be written to ({type(error).__name__}): nothing is cached",
            f"make it a directory that this user can write to, or fix {name}",
        )
    free, held = shutil.disk_usage(base).free, _bytes_in(directory)
    mode = stat.S_IMODE(base.stat().st_mode)
    if base == directory and os.name == "posix" and mode & 0o077:
        return warning(
            f"{str(directory)!r} is accessible to other users (mode {mode:o}): it holds the same "
            "blobs as the bucket",
            f"chmod 700 {directory}",
        )
    if free + held < size:
        return warning(
            f"{free:,} bytes are free at {str(base)!r}, and the cache may grow by {size - held:,}",
            f"lower {name}_BYTES, or free up space",
        )
    state = f"holds {held:,} bytes" if base == directory else "to be created with the first blob"
    return ok(f"{str(directory)!r}, {state}, {free:,} bytes free")


def _require_writable(directory: Path, *, with_file: bool) -> None:
    """Raise an OSError if files cannot be created in a directory."""
    if not directory.is_dir():
        raise NotADirectoryError
    if with_file:
        with tempfile.TemporaryFile(dir=directory):
            return
    if not os.access(directory, os.W_OK | os.X_OK):
        raise PermissionError


def _bytes_in(directory: Path) -> int:
    """Return the size of the cache; files that other processes remove meanwhile are skipped."""
    held = 0
    for file in directory.glob("*/*"):
        with suppress(OSError):
            held += file.stat().st_size
    return held
