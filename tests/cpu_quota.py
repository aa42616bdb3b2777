"""Limits the CPU time of a process, as a container's quota does."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

_PERIOD_SECONDS = 0.1
_PAUSE_SECONDS = 0.01
_TICKS = os.sysconf("SC_CLK_TCK")


@contextmanager
def cpu_quota(pid: int, share: float) -> Generator[None]:
    """Let a child process use a share of one core on average: stop and continue it by signals.

    Args:
        pid: a process that this one has started.
        share: the CPU time it may use, as a share of the time that passes.
    """
    ending = threading.Event()

    def limit() -> None:
        before, used_before, left = time.monotonic(), _cpu_seconds(pid), 0.0
        while not ending.wait(_PAUSE_SECONDS):
            now, used = time.monotonic(), _cpu_seconds(pid)
            # What is not used in one period does not help in the next.
            left = min(left + (now - before) * share, _PERIOD_SECONDS * share)
            left -= used - used_before
            before, used_before = now, used
            os.kill(pid, signal.SIGCONT if left > 0 else signal.SIGSTOP)

    def run() -> None:
        try:
            limit()
        except (ProcessLookupError, FileNotFoundError):
            return  # it has ended

    thread = threading.Thread(target=run, name="cpu-quota", daemon=True)
    thread.start()
    try:
        yield
    finally:
        ending.set()
        thread.join(5)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)


def _cpu_seconds(pid: int) -> float:
    text = Path(f"/proc/{pid}/stat").read_text()
    user, system = text.rpartition(")")[2].split()[11:13]
    return (int(user) + int(system)) / _TICKS
