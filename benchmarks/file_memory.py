"""Peak memory of one file's transfers, in a process of their own; see `benchmarks.memory`."""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path

from pydantic import BaseModel

from benchmarks.memory import high_water_mb, lower_mark
from benchmarks.results import MEGABYTE, BenchmarkError
from benchmarks.servers import Bucket
from mistral_offload.files.file_store import FileStore
from mistral_offload.files.reader import FileReader
from mistral_offload.files.reference import FileReference, root_of_run
from mistral_offload.files.source import source_of_bytes, source_of_path, source_of_stream
from mistral_offload.payload.field_blob import NO_CIPHER
from mistral_offload.storage.lazy_cache import LazyCache

_NUMBER_BYTES = 8


class FileTask(BaseModel):
    """Job of a child process.

    Attributes:
        bucket: where to send the file.
        path: the local file; None for a stream that is made while it is sent.
        megabytes: length of the stream.
    """

    bucket: Bucket
    path: str | None = None
    megabytes: int = 0


class PeakMegabytes(BaseModel):
    """Peaks above the memory before, in MB."""

    put: float
    get: float


def _measure(task: FileTask) -> PeakMegabytes:
    files = FileStore(LazyCache(task.bucket.storage()), NO_CIPHER)
    root = root_of_run("bench", f"memory-{os.getpid()}")
    if task.path is None:
        return _measure_stream(files, root, task.megabytes)
    return _measure_path(files, root, Path(task.path))


def _measure_path(files: FileStore, root: str, path: Path) -> PeakMegabytes:
    """Send a local file, and download it to a path beside it."""
    back = path.with_name("memory")
    small = files.upload(source_of_bytes(b"x", "x", None), root)  # connects, and imports
    files.download(small.reference, back)
    sent: list[FileReference] = []

    def put() -> None:
        sent.append(files.upload(source_of_path(path, None, None), root).reference)

    found = PeakMegabytes(put=_peak(put), get=_peak(lambda: files.download(sent[0], back)))
    back.unlink()
    return found


def _measure_stream(files: FileStore, root: str, megabytes: int) -> PeakMegabytes:
    """Send a stream made piece by piece, and compare it piece by piece with what is read."""
    body = os.urandom(MEGABYTE - _NUMBER_BYTES)
    sent: list[FileReference] = []

    async def pieces(count: int) -> AsyncIterator[bytes]:
        for number in range(count):
            yield _piece(body, number)

    def put(count: int) -> None:
        source = source_of_stream(pieces(count), "stream", None)
        sent.append(asyncio.run(files.upload_async(source, root)).reference)

    def get(count: int) -> None:
        with io.BufferedReader(FileReader(files.open(sent[-1]))) as reader:
            for number in range(count):
                if reader.read(MEGABYTE) != _piece(body, number):
                    raise BenchmarkError(f"piece {number} of a stream came back changed")
            if reader.read(1):
                raise BenchmarkError("more than the stream came back")

    put(1)  # connects, and imports
    get(1)
    return PeakMegabytes(put=_peak(lambda: put(megabytes)), get=_peak(lambda: get(megabytes)))


def _piece(body: bytes, number: int) -> bytes:
    """Return a megabyte that no other number has, so no two chunks of a stream are equal."""
    return number.to_bytes(_NUMBER_BYTES, "big") + body


def _peak(call: Callable[[], object]) -> float:
    lower_mark(os.getpid())
    before = high_water_mb(os.getpid())
    call()
    return high_water_mb(os.getpid()) - before


if __name__ == "__main__":
    print(_measure(FileTask(**json.load(sys.stdin))).model_dump_json())
