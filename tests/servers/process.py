"""Runs a server as a child process: starts it, waits until it is ready, stops it by pid."""

from __future__ import annotations

import contextlib
import os
import random
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from tests.servers.reaper import reaper

# Below the range that the kernel uses for outgoing connections.
_FIRST_PORT, _LAST_PORT = 15_000, 31_999
_SHOWN_LOG_BYTES = 4_000

# Some checks are requests, for which the starting server has to share the processor.
_PAUSE_SECONDS = 0.1


class ServerFailedError(Exception):
    """A server exited, or was not ready in time; the message ends with its log."""


def free_ports(count: int) -> list[int]:
    """Return distinct loopback TCP ports that are free right now."""
    ports: list[int] = []
    with contextlib.ExitStack() as held:
        while len(ports) < count:
            candidate = held.enter_context(socket.socket())
            port = random.randint(_FIRST_PORT, _LAST_PORT)
            try:
                candidate.bind(("127.0.0.1", port))
            except OSError:
                continue
            ports.append(port)
    return ports


def accepts_connections(port: int) -> bool:
    """Return True if something listens on this loopback port."""
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


class ServerProcess:
    """One child process and its log.

    ``ready`` is called repeatedly until it returns True, for up to ``timeout`` seconds.

    Raises:
        ServerFailedError: the process exited before it was ready, or was not ready in time.
    """

    def __init__(
        self,
        command: Sequence[str | os.PathLike[str]],
        *,
        ready: Callable[[], bool],
        timeout: float = 20.0,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
    ) -> None:
        self.command = [os.fspath(part) for part in command]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115 - lives as long as the process
        self._process = subprocess.Popen(
            self.command,
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=subprocess.STDOUT,
            env={**os.environ, **(environment or {})},
            cwd=directory,
            # Ctrl-C reaches the whole foreground group; tests that end by it need their servers.
            start_new_session=True,
        )
        reaper().watch(self.pid)
        try:
            self._wait_until(ready, timeout)
        except BaseException:
            self.stop(grace=0)
            raise

    @property
    def pid(self) -> int:
        """The child's process id."""
        return self._process.pid

    def log(self) -> str:
        """Return the end of the child's stdout and stderr."""
        if self._log.closed:
            return "(the log went with the process)"
        size = os.fstat(self._log.fileno()).st_size
        tail = os.pread(self._log.fileno(), _SHOWN_LOG_BYTES, max(0, size - _SHOWN_LOG_BYTES))
        return tail.decode(errors="replace")

    def full_log(self) -> str:
        """Return the child's complete stdout and stderr."""
        size = os.fstat(self._log.fileno()).st_size
        return os.pread(self._log.fileno(), size, 0).decode(errors="replace")

    def stop(self, *, grace: float = 5.0) -> None:
        """Terminate the child, and kill it after ``grace`` seconds. May be called twice."""
        if self._process.poll() is None and grace > 0:
            self._process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(grace)
        if self._process.poll() is None:
            self._process.kill()
            self._process.wait(10)
        reaper().forget(self.pid)
        self._log.close()

    def __getstate__(self) -> dict[str, object]:
        """Leave the child and its log out: they stay with the process that started it."""
        return {"command": self.command}

    def _wait_until(self, ready: Callable[[], bool], timeout: float) -> None:
        deadline = time.monotonic() + timeout
        while not ready():
            code = self._process.poll()
            if code is not None:
                raise ServerFailedError(f"{self._name} ended with code {code}:\n{self.log()}")
            if time.monotonic() > deadline:
                raise ServerFailedError(
                    f"{self._name} was not ready within {timeout} s:\n{self.log()}"
                )
            time.sleep(_PAUSE_SECONDS)

    @property
    def _name(self) -> str:
        return Path(self.command[0]).name
