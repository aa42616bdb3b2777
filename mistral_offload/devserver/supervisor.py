"""Runs one command for as long as the process that asked for it lives.

Started as a file by :mod:`mistral_offload.devserver.temporal_server`, so it imports the standard
library only. Its standard input is a pipe whose other end only the owner holds: however the owner
dies, also by SIGKILL, the kernel closes the pipe, and the command is stopped.

Not ``PR_SET_PDEATHSIG``: that one fires when the *thread* that forked ends, exists on Linux only,
and needs code between fork and exec, which deadlocks in programs with threads.
"""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from types import FrameType
from typing import NoReturn

_POLL_SECONDS = 0.2


def main(grace_seconds: float, command: list[str]) -> int:
    """Run ``command`` until it ends or the owner is gone; its exit status, as a shell tells it."""
    signal.signal(signal.SIGTERM, _leave)
    owner = os.getppid()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603
    try:
        while child.poll() is None and _owner_lives(owner):
            pass
    finally:
        if child.poll() is None:
            _stop(child, grace_seconds)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _owner_lives(owner: int) -> bool:
    """Wait a moment for the pipe to close.

    The parent's id is asked for too: a process the owner forked without exec holds the pipe open.
    """
    closed, _, _ = select.select([sys.stdin.fileno()], [], [], _POLL_SECONDS)
    return not closed and os.getppid() == owner


def _stop(child: subprocess.Popen[bytes], grace_seconds: float) -> None:
    child.terminate()
    try:
        child.wait(grace_seconds)
    except subprocess.TimeoutExpired:
        child.kill()
        child.wait()


def _leave(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
