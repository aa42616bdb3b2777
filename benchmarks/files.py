"""Files of any size: up and down, beside boto3's managed transfers with the same concurrency."""

from __future__ import annotations

import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from boto3.s3.transfer import TransferConfig

from benchmarks import targets
from benchmarks.file_memory import FileTask, PeakMegabytes
from benchmarks.measurement import Way, race
from benchmarks.results import MEGABYTE, BenchmarkError, Line, Row, Table, Target
from benchmarks.servers import Bucket, memory_disk
from benchmarks.session import Session
from mistral_offload.files.chunks import CHUNK_BYTES, concurrent_chunks
from mistral_offload.files.file_store import FileStore
from mistral_offload.files.reference import FileReference, root_of_run
from mistral_offload.files.source import source_of_path
from mistral_offload.payload.field_blob import NO_CIPHER
from mistral_offload.storage.lazy_cache import LazyCache

_SIZES = {256: 5, 2000: 3}
_QUICK_SIZES = {64: 1}
_MEMORY_MB = (256, 2000)
_QUICK_MEMORY_MB = (64,)
_PUT, _GET = 1 / 1.15, 1.0
_MOST_MIB = 64
_TIMEOUT_SECONDS = 300


def measure(session: Session) -> list[Table]:
    """Measure uploads and downloads of a local file, then the memory of each."""
    rows: list[Row] = []
    server = session.server
    with tempfile.TemporaryDirectory(dir=memory_disk()) as folder:
        for megabytes, rounds in (_QUICK_SIZES if session.quick else _SIZES).items():
            session.tell(f"files: {megabytes} MB")
            path = _make_file(Path(folder) / "sent", megabytes)
            rows += _rows(session, path, megabytes, rounds)
            server.clear()
        for megabytes in _QUICK_MEMORY_MB if session.quick else _MEMORY_MB:
            session.tell(f"files: memory, {megabytes} MB")
            path = _make_file(Path(folder) / "sent", megabytes)
            rows.append(_memory_row(server.bucket, path, megabytes))
            server.clear()
    note = (
        "The local file is in memory. Ours hashes each chunk and the whole, and verifies each "
        f"chunk that it reads; {_concurrency()} chunks at a time, as boto3."
    )
    return [Table("Files", rows, note)]


def _rows(session: Session, path: Path, megabytes: int, rounds: int) -> list[Row]:
    bucket, back = session.server.bucket, path.parent / "back"
    files, client = FileStore(LazyCache(bucket.storage()), NO_CIPHER), bucket.client()
    config = TransferConfig(max_concurrency=_concurrency())
    numbers = itertools.count()
    sent: dict[str, object] = {}

    def ours_put() -> object:
        root = root_of_run("bench", f"run-{next(numbers)}")  # never a chunk that is there
        sent["ours"] = files.upload(source_of_path(path, None, None), root).reference
        return sent["ours"]

    def boto_put() -> None:
        sent["boto3"] = f"files/{next(numbers)}"
        client.upload_file(str(path), bucket.name, str(sent["boto3"]), Config=config)

    def ours_get() -> object:
        reference = sent["ours"]
        assert isinstance(reference, FileReference)
        return files.download(reference, back)

    def boto_get() -> None:
        client.download_file(bucket.name, str(sent["boto3"]), str(back), Config=config)

    def check(_: object) -> None:
        if back.stat().st_size != path.stat().st_size:
            raise BenchmarkError("another file came back")
        back.unlink()

    cpu = session.server.cpu_seconds
    puts = race(
        [_way("mistral-offload", ours_put), _way("boto3 upload_file", boto_put)], rounds, cpu
    )
    gets = race(
        [
            _way("mistral-offload", ours_get, check),
            _way("boto3 download_file", boto_get, check),
        ],
        rounds,
        cpu,
    )
    return [
        Row(f"upload, {megabytes:,} MB", puts, [_no_slower(puts[1], _PUT)]),
        Row(f"download, {megabytes:,} MB", gets, [_no_slower(gets[1], _GET)]),
    ]


def _way(
    name: str, call: Callable[[], object], after: Callable[[object], None] = lambda _: None
) -> Way:
    return Way(name, call, after=after)


def _no_slower(boto: Line, limit: float) -> Target:
    return targets.at_most(f"time by {boto.way}", boto.ratio or 0.0, limit, "x")


def _memory_row(bucket: Bucket, path: Path, megabytes: int) -> Row:
    task = FileTask(bucket=bucket, path=str(path))
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
    peak = PeakMegabytes.model_validate_json(child.stdout)
    line = Line("mistral-offload", peak_mb=max(peak.put, peak.get))
    limit = _MOST_MIB * 1024 * 1024 / MEGABYTE
    wanted = targets.at_most("peak memory", line.peak_mb or 0.0, limit, " MB")
    more = {"up": f"{peak.put:.0f} MB", "down": f"{peak.get:.0f} MB"}
    return Row(f"memory, {megabytes:,} MB", [replace(line, more=more)], [wanted])


def _make_file(path: Path, megabytes: int) -> Path:
    with path.open("wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(MEGABYTE))
    return path


def _concurrency() -> int:
    return concurrent_chunks(CHUNK_BYTES, 16)
