"""Peak memory of one file's transfers, in a process of their own; see `benchmarks.memory`."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path

from pydantic import BaseModel

from benchmarks.memory import high_water_mb, lower_mark
from benchmarks.servers import Bucket
from mistral_offload.files.file_store import FileStore
from mistral_offload.files.reference import FileReference, root_of_run
from mistral_offload.files.source import source_of_bytes, source_of_path
from mistral_offload.payload.field_blob import NO_CIPHER
from mistral_offload.storage.lazy_cache import LazyCache


class FileTask(BaseModel):
    """Job of a child process."""

    bucket: Bucket
    path: str


class PeakMegabytes(BaseModel):
    """Peaks above the memory before, in MB."""

    put: float
    get: float


def _measure(task: FileTask) -> PeakMegabytes:
    files = FileStore(LazyCache(task.bucket.storage()), NO_CIPHER)
    path, root = Path(task.path), root_of_run("bench", f"memory-{os.getpid()}")
    back = path.with_name("memory")
    small = files.upload(source_of_bytes(b"x", "x", None), root)  # connects, and imports
    files.download(small.reference, back)
    sent: list[FileReference] = []

    def put() -> None:
        sent.append(files.upload(source_of_path(path, None, None), root).reference)

    def peak(call: Callable[[], object]) -> float:
        lower_mark(os.getpid())
        before = high_water_mb(os.getpid())
        call()
        return high_water_mb(os.getpid()) - before

    found = PeakMegabytes(put=peak(put), get=peak(lambda: files.download(sent[0], back)))
    back.unlink()
    return found


if __name__ == "__main__":
    print(_measure(FileTask(**json.load(sys.stdin))).model_dump_json())
