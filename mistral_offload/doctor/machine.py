"""What the stores need of this machine: a directory for the cache, and open files."""

from __future__ import annotations

import asyncio
import os
import shutil
import stat
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from mistral_offload.doctor.configured_stores import Place
from mistral_offload.doctor.findings import Check, Verdict, not_checked, ok, warning

_OTHER_FILES = 256
"""What a process has open besides: Temporal, the platform, modules, logs, the user's own."""


class MachineChecks:
    """Looks at this machine only, as this user."""

    def __init__(self, places: Sequence[Place], *, may_write: bool) -> None:
        self._places = places
        self._may_write = may_write

    def checks(self) -> list[Check]:
        """Open files, and each cache directory."""
        found = [Check("machine.files", "machine: open files", self._files)]
        seen: set[Path] = set()
        for place in self._places:
            directory = place.config.cache_directory
            if directory is not None and directory not in seen and not place.is_read_also:
                seen.add(directory)
                found.append(self._cache_check(place, directory))
        return found

    def _cache_check(self, place: Place, directory: Path) -> Check:
        async def examine() -> Verdict:
            return await asyncio.to_thread(
                judge_cache_directory,
                directory,
                size=place.config.cache_directory_bytes,
                variables=place.variables,
                may_write=self._may_write,
            )

        return place.check("cache_directory", "cache directory", examine)

    async def _files(self) -> Verdict:
        try:
            import resource
        except ImportError:
            return not_checked("this system does not limit them in that way")
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        stores = {place.config: place.config.connections for place in self._places}
        needed = sum(stores.values()) + _OTHER_FILES
        if soft == resource.RLIM_INFINITY:
            return ok("any number is allowed")
        if soft >= needed:
            return ok(f"{soft:,} allowed, up to {needed:,} needed")
        return warning(
            f"{soft:,} allowed; the stores' connections and the rest may need {needed:,}",
            f"raise the limit (ulimit -n {needed}; the hard one is {hard:,}), or lower "
            "…__STORAGE_CONFIG__CONNECTIONS",
        )


def judge_cache_directory(
    directory: Path, *, size: int, variables: str, may_write: bool
) -> Verdict:
    """Whether a cache of so many bytes can be kept there.

    Args:
        directory: made with the first blob, if it is not there.
        size: what the cache may grow to, in bytes.
        variables: what the names of its variables begin with.
        may_write: whether to try it out, with a file that is removed at once.
    """
    name = f"{variables}__CACHE_DIRECTORY"
    try:
        base = next(path for path in (directory, *directory.absolute().parents) if path.exists())
        _try_writing(base, with_file=may_write and base == directory)
    except OSError as error:
        # Only more to fetch: a worker goes on without.
        return warning(
            f"{str(directory)!r} cannot be written to ({type(error).__name__}): nothing is kept",
            f"make it a directory that this user may write to, or mend {name}",
        )
    free, held = shutil.disk_usage(base).free, _bytes_in(directory)
    mode = stat.S_IMODE(base.stat().st_mode)
    if base == directory and os.name == "posix" and mode & 0o077:
        return warning(
            f"{str(directory)!r} is open to other users (mode {mode:o}): it holds blobs as the "
            "bucket does",
            f"chmod 700 {directory}",
        )
    if free + held < size:
        return warning(
            f"{free:,} bytes are free at {str(base)!r}, and the cache may grow by {size - held:,}",
            f"lower {name}_BYTES, or free some space",
        )
    state = f"holds {held:,} bytes" if base == directory else "not there yet, will be made"
    return ok(f"{str(directory)!r}, {state}, {free:,} bytes free")


def _try_writing(directory: Path, *, with_file: bool) -> None:
    """Raises an OSError where files cannot be made."""
    if not directory.is_dir():
        raise NotADirectoryError
    if with_file:
        with tempfile.TemporaryFile(dir=directory):
            return
    if not os.access(directory, os.W_OK | os.X_OK):
        raise PermissionError


def _bytes_in(directory: Path) -> int:
    """What the cache holds, while other processes go on changing it."""
    held = 0
    for file in directory.glob("*/*"):
        with suppress(OSError):
            held += file.stat().st_size
    return held
