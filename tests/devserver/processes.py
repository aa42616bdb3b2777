"""Processes of Temporal servers, observed from outside."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

from typing_extensions import Self

from tests.bounds import PATIENCE_SECONDS, kill, output_of, read_line, start


def listens(address: str) -> bool:
    """Return True if a server accepts connections at an address."""
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), timeout=1).close()
    except OSError:
        return False
    return True


def pids_of(address: str) -> list[int]:
    """Return the processes of a Temporal address: the server and its supervisor."""
    port = address.rpartition(":")[2]
    found: list[int] = []
    listing = subprocess.run(
        ["ps", "-axww", "-o", "pid=,command="],
        capture_output=True,
        text=True,
        check=True,
        timeout=PATIENCE_SECONDS,
    )
    for line in listing.stdout.splitlines():
        pid, _, command = line.strip().partition(" ")
        if "start-dev" in command and f"--port {port}" in command:
            found.append(int(pid))
    return found


def server_pid(address: str) -> int:
    """Return the process id of Temporal itself."""
    (pid,) = [pid for pid in pids_of(address) if not _is_supervisor(pid)]
    return pid


def supervisor_pid(address: str) -> int:
    """Return the process id of its supervisor."""
    (pid,) = [pid for pid in pids_of(address) if _is_supervisor(pid)]
    return pid


def assert_gone(address: str, within: float = PATIENCE_SECONDS) -> None:
    """Wait until no server listens at an address, and none of its processes is left."""
    deadline = time.monotonic() + within
    while listens(address) or pids_of(address):
        assert time.monotonic() < deadline, f"left over: {pids_of(address)}"
        time.sleep(0.05)


class Script:
    """A Python program in its own process, which prints a line when it is ready."""

    def __init__(self, source: str) -> None:
        self._process = start(
            [sys.executable, "-c", source],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONFAULTHANDLER": "1"},
        )
        self.pid = self._process.pid

    def line(self) -> str:
        """Return the next line that it prints."""
        return read_line(self._process).strip()

    def kill(self) -> None:
        """Send SIGKILL to this process alone."""
        self._process.kill()
        self._process.wait(PATIENCE_SECONDS)

    def end(self) -> tuple[int, str]:
        """Wait for its end; return exit code and stderr."""
        _, said = output_of(self._process)
        return self._process.returncode, said

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        kill(self._process)


def _is_supervisor(pid: int) -> bool:
    listing = subprocess.run(
        ["ps", "-ww", "-o", "command=", "-p", str(pid)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )
    return Path("supervisor.py").name in listing.stdout
