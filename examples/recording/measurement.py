"""Measures an activity: what it fetches from the store, and the memory of its worker."""

import logging
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path

from pydantic import BaseModel

logger = logging.getLogger("recording")
_transfers = logging.getLogger("mistral_offload.storage.transfers")
_fetched: ContextVar[list[str] | None] = ContextVar("fetched", default=None)
_memory_before: int | None = None


class Measures(BaseModel):
    """Costs of an activity.

    Attributes:
        chunks: chunks of files that it fetched from the store.
        fetched_bytes: all that it fetched, the list of the file's chunks included.
        memory_bytes: peak memory of its worker so far, above what was used at first.
    """

    chunks: int = 0
    fetched_bytes: int = 0
    memory_bytes: int = 0


@contextmanager
def measured(name: str) -> Iterator[Measures]:
    """Measure the block, in the activity's thread; the measures are there when it has ended."""
    global _memory_before
    if _memory_before is None:
        _memory_before = peak_memory_bytes()
    _transfers.setLevel(logging.DEBUG)
    _transfers.addFilter(_count)
    fetched: list[str] = []
    token = _fetched.set(fetched)
    measures = Measures()
    try:
        yield measures
    finally:
        _fetched.reset(token)
    measures.chunks = sum("/chunk-" in line for line in fetched)
    measures.fetched_bytes = sum(int(line.split(" bytes")[0].split()[-1]) for line in fetched)
    measures.memory_bytes = peak_memory_bytes() - _memory_before
    for line in fetched:
        logger.info("%s: %s", name, line)


def peak_memory_bytes() -> int:
    """Return the most memory that this process has used.

    On Linux ``ru_maxrss`` would do as well, but it begins with the peak of the parent process.
    """
    status = Path("/proc/self/status")
    if status.exists():
        line = next(line for line in status.read_text().splitlines() if line.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _count(record: logging.LogRecord) -> bool:
    """Count a transfer instead of logging it; the threads of a reader have the activity's context.

    Its line: "get s3 my-payloads …<end of key>: 8388608 bytes, 0.03 s, attempts: 1".
    """
    fetched, line = _fetched.get(), record.getMessage()
    if fetched is not None and line.startswith("get "):
        fetched.append(line)
    return False
