"""Files of any size: up and down, beside the managed transfers of the providers' own SDKs."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks import targets
from benchmarks.file_memory import FileTask, PeakMegabytes
from benchmarks.file_servers import (
    CONCURRENCY,
    FilePlace,
    FileServer,
    azure_server,
    fast_server,
    google_server,
    seaweed_server,
)
from benchmarks.measurement import Way, race
from benchmarks.results import MEGABYTE, BenchmarkError, Line, Row, Table, Target
from benchmarks.servers import memory_disk, s3_server
from benchmarks.session import Session
from mistral_offload.files.file_store import FileStore
from mistral_offload.files.reference import FileReference, root_of_run
from mistral_offload.files.source import source_of_bytes, source_of_path
from mistral_offload.payload.field_blob import NO_CIPHER
from mistral_offload.storage.lazy_cache import LazyCache

_SIZES = {256: 3, 2000: 3}
_QUICK_SIZES = {64: 1}
_EMULATOR_SIZE, _EMULATOR_ROUNDS = 256, 3
_WARM_UP_TO = 256
# A slower machine measures fewer rounds of 2 GB. At a load of 8 on 2 cores all of it took 9.5
# minutes with all rounds.
_LONGEST_SECONDS = 75.0
_MEMORY_MB = (256, 2000)
_QUICK_MEMORY_MB = (64,)
_STREAM_MB = (256, 8000)
_PUT, _GET = 1 / 1.15, 1.0
_MOST_MIB = 64
_SPARE_DISK_MB = 2000
# Source, download, and one upload by each of the two ways.
_COPIES = 4
_TIMEOUT_SECONDS = 400
_ROOT = root_of_run("bench", "files")
_NOTE = (
    "Ours hashes each chunk and the whole, and verifies each chunk that it reads; "
    f"{CONCURRENCY} chunks at a time, as the SDK, which uploads to fake-gcs-server in one request "
    "at a time, since that has no XML API. Local files, and those of SeaweedFS, are in "
    "memory if there is room. Files of 2 GB have no warm-up round. "
)
_STREAM_NOTE = (
    "A stream is made while it is sent, in pieces of 1 MB, each with its number in random bytes, "
    "so no two chunks are equal. It is compared piece by piece as the reader returns it. The "
    f"server then has its files on disk, so {_STREAM_MB[-1] / 1000:g} GB take that much disk and "
    "no memory. "
)


def measure(session: Session) -> list[Table]:
    """Measure uploads and downloads of a local file, then the memory of each."""
    if session.quick:
        with _folder(memory_disk()) as folder:
            rows = _rows_by_size(session, folder, _QUICK_SIZES, [fast_server(session.server)])
            rows += _memory_rows(session, folder, _QUICK_MEMORY_MB)
        return [Table("Files", rows, _NOTE)]
    _require_disk(max(_STREAM_MB) + _SPARE_DISK_MB)
    place = memory_disk(_COPIES * max(_SIZES) * MEGABYTE)
    with _folder(place) as folder:
        with seaweed_server(place) as seaweed:
            servers = [fast_server(session.server), seaweed]
            rows = _rows_by_size(session, folder, _SIZES, servers)
        for emulator in (azure_server, google_server):
            rows += _emulator_rows(session, folder, emulator())
        rows += _memory_rows(session, folder, _MEMORY_MB)
    rows += _stream_rows(session)
    return [Table("Files", rows, _NOTE + _STREAM_NOTE)]


class _Uploads:
    """Uploads of one way; each goes to a new place, and the one before is removed."""

    def __init__(self, server: FileServer, source: Path) -> None:
        self._server = server
        self._source = source
        self._place: FilePlace | None = None
        self._files: FileStore | None = None
        self._sent: FileReference | None = None

    def prepare(self) -> None:
        """Make the place of the next upload."""
        self.remove()
        self._place = self._server.make_place()
        self._files = FileStore(LazyCache(self._place.storage()), NO_CIPHER)
        # Connects, and makes the server allocate the space of its bucket.
        self._files.upload(source_of_bytes(b"x", "x", None), _ROOT)

    def remove(self) -> None:
        """Remove the last place."""
        if self._place is not None:
            self._place.remove()
            self._place = None

    def ours_put(self) -> object:
        """Upload with this package."""
        assert self._files is not None
        self._sent = self._files.upload(source_of_path(self._source, None, None), _ROOT).reference
        return self._sent

    def ours_get(self, back: Path) -> object:
        """Download what was uploaded last."""
        assert self._files is not None
        assert self._sent is not None
        return self._files.download(self._sent, back)

    def sdk_put(self) -> None:
        """Upload with the SDK."""
        assert self._place is not None
        self._place.upload(self._source)

    def sdk_get(self, back: Path) -> None:
        """Download it with the SDK."""
        assert self._place is not None
        self._place.download(back)


def _rows_by_size(
    session: Session, folder: Path, sizes: dict[int, int], servers: list[FileServer]
) -> list[Row]:
    rows: list[Row] = []
    for megabytes, rounds in sizes.items():
        with _local_file(folder, megabytes) as path:
            for server in servers:
                session.tell(f"files: {server.prefix}{megabytes:,} MB")
                put, get = _rows(server, path, megabytes, rounds)
                put.targets.append(_no_slower(put.lines[1], _PUT))
                get.targets.append(_no_slower(get.lines[1], _GET))
                rows += [put, get]
    return rows


def _emulator_rows(
    session: Session, folder: Path, running: AbstractContextManager[FileServer]
) -> list[Row]:
    """Measure without a target: the emulator costs far more than its clients."""
    with running as server, _local_file(folder, _EMULATOR_SIZE) as path:
        session.tell(f"files: {server.prefix}{_EMULATOR_SIZE} MB")
        return list(_rows(server, path, _EMULATOR_SIZE, _EMULATOR_ROUNDS))


def _rows(server: FileServer, path: Path, megabytes: int, rounds: int) -> tuple[Row, Row]:
    back = path.with_name("back")
    ours, sdk = _Uploads(server, path), _Uploads(server, path)
    warm_up = megabytes <= _WARM_UP_TO

    def check(_: object) -> None:
        if back.stat().st_size != path.stat().st_size:
            raise BenchmarkError("another file came back")
        back.unlink()

    try:
        puts = race(
            [
                Way("mistral-offload", ours.ours_put, before=ours.prepare),
                Way(server.uploading, sdk.sdk_put, before=sdk.prepare),
            ],
            rounds,
            server.cpu_seconds,
            warm_up=warm_up,
            longest_seconds=_LONGEST_SECONDS,
        )
        gets = race(
            [
                Way("mistral-offload", lambda: ours.ours_get(back), after=check),
                Way(server.downloading, lambda: sdk.sdk_get(back), after=check),
            ],
            rounds,
            server.cpu_seconds,
            warm_up=warm_up,
            longest_seconds=_LONGEST_SECONDS,
        )
    finally:
        ours.remove()
        sdk.remove()
    return (
        Row(f"{server.prefix}upload, {megabytes:,} MB", puts),
        Row(f"{server.prefix}download, {megabytes:,} MB", gets),
    )


def _no_slower(sdk: Line, limit: float) -> Target:
    return targets.at_most(f"time by {sdk.way}", sdk.ratio or 0.0, limit, "x")


def _memory_rows(session: Session, folder: Path, sizes: tuple[int, ...]) -> list[Row]:
    rows: list[Row] = []
    for megabytes in sizes:
        session.tell(f"files: memory, {megabytes:,} MB")
        with _local_file(folder, megabytes) as path:
            peak = _peak(FileTask(bucket=session.server.bucket, path=str(path)))
        session.server.clear()
        rows.append(_memory_row(f"memory, {megabytes:,} MB", peak))
    return rows


def _stream_rows(session: Session) -> list[Row]:
    rows: list[Row] = []
    for megabytes in _STREAM_MB:
        session.tell(f"files: memory, a stream of {megabytes:,} MB")
        _require_disk(megabytes + _SPARE_DISK_MB)
        with s3_server(in_memory=False) as server:
            peak = _peak(FileTask(bucket=server.bucket, megabytes=megabytes))
        rows.append(_memory_row(f"memory, stream of {megabytes:,} MB", peak))
    return rows


def _peak(task: FileTask) -> PeakMegabytes:
    child = subprocess.run(
        [sys.executable, "-m", "benchmarks.file_memory"],
        input=task.model_dump_json(),
        env={**os.environ, "MALLOC_MMAP_THRESHOLD_": "65536", "MALLOC_TRIM_THRESHOLD_": "65536"},
        capture_output=True,
        text=True,
        timeout=_TIMEOUT_SECONDS,
        check=False,
    )
    if child.returncode:
        raise BenchmarkError(f"measuring the memory of files failed:\n{child.stderr}")
    return PeakMegabytes.model_validate_json(child.stdout)


def _memory_row(name: str, peak: PeakMegabytes) -> Row:
    line = Line("mistral-offload", peak_mb=max(peak.put, peak.get))
    limit = _MOST_MIB * 1024 * 1024 / MEGABYTE
    wanted = targets.at_most("peak memory", line.peak_mb or 0.0, limit, " MB")
    more = {"up": f"{peak.put:.0f} MB", "down": f"{peak.get:.0f} MB"}
    return Row(name, [replace(line, more=more)], [wanted])


@contextmanager
def _folder(parent: str | None) -> Generator[Path]:
    with tempfile.TemporaryDirectory(prefix="bench-", dir=parent) as name:
        yield Path(name)


@contextmanager
def _local_file(folder: Path, megabytes: int) -> Generator[Path]:
    """Make a file of random bytes, and remove it afterwards."""
    path = folder / "sent"
    try:
        with path.open("wb") as file:
            for _ in range(megabytes):
                file.write(os.urandom(MEGABYTE))
        yield path
    finally:
        path.unlink(missing_ok=True)


def _require_disk(megabytes: int) -> None:
    """Check the room for the files of a server on disk.

    Raises:
        BenchmarkError: there is less.
    """
    place = tempfile.gettempdir()
    free = shutil.disk_usage(place).free / MEGABYTE
    if free < megabytes:
        raise BenchmarkError(
            f"the row of files keeps up to {megabytes:,} MB in {place}, and {free:,.0f} MB are "
            "free: make room, or set TMPDIR to a directory on another disk"
        )
