"""Kills the child processes of a test run that ends without stopping them.

However the run ends, also by SIGKILL, the kernel closes the pipe to this program, which then kills
the processes it was told of. It imports the standard library only, and runs as a file.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import signal
import subprocess
import sys
import threading
from functools import cache


class Reaper:
    """The program, as a process beside the test run."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._owner = os.getpid()
        self._process = subprocess.Popen(
            [sys.executable, "-I", "-S", __file__],
            stdin=subprocess.PIPE,
            # Ctrl-C reaches the whole foreground group; this one goes by the pipe.
            start_new_session=True,
        )
        atexit.register(self._end)

    def watch(self, pid: int) -> None:
        """Kill a child of this process as soon as this process has ended."""
        self._tell(f"+{pid}")

    def forget(self, pid: int) -> None:
        """Leave a child alone, which has ended."""
        self._tell(f"-{pid}")

    def _tell(self, line: str) -> None:
        if os.getpid() != self._owner or self._process.stdin is None:
            return  # a forked child has no children of its own
        with self._lock, contextlib.suppress(OSError, ValueError):
            self._process.stdin.write(f"{line}\n".encode())
            self._process.stdin.flush()

    def _end(self) -> None:
        if os.getpid() == self._owner and self._process.stdin is not None:
            self._process.stdin.close()
            self._process.wait(10)


@cache
def reaper() -> Reaper:
    """The one of this process."""
    return Reaper()


def main() -> None:
    pids: set[int] = set()
    for line in sys.stdin:
        (pids.add if line[0] == "+" else pids.discard)(int(line[1:]))
    for pid in pids:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
