"""Runs a command as long as the process that started it, its owner, lives.

Started as a file by :mod:`mistral_offload.devserver.temporal_server`, so it imports only the
standard library. Its stdin is a pipe whose other end is held by the owner alone: however the owner
dies, even by SIGKILL, the kernel closes the pipe, and the command is stopped.

``PR_SET_PDEATHSIG`` is no alternative: it fires when the *thread* that forked ends, exists on Linux
only, and needs code between fork and exec, which deadlocks in programs with threads.
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
    """Run a command until it ends or the owner is gone; return its exit status like a shell."""
    signal.signal(signal.SIGTERM, _exit_on_signal)
    owner = os.getppid()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603
    try:
        while child.poll() is None and _owner_is_alive(owner):
            pass
    finally:
        if child.poll() is None:
            _stop(child, grace_seconds)
    return child.returncode if child.returncode >= 0 else 128 - child.returncode


def _owner_is_alive(owner: int) -> bool:
    """Wait briefly for the pipe to close, and return False if it has.

    Also checks the parent's id, since a child that the owner forked without exec keeps the pipe
    open.
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


def _exit_on_signal(number: int, frame: FrameType | None) -> NoReturn:
    raise SystemExit(128 + number)


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2:]))
