"""Checkouts of several commits, measured alternately in one run: each by a process of its own."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
from collections.abc import Generator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from benchmarks.results import BenchmarkError

PROJECT = Path(__file__).parent.parent
OURS = "mistral-offload"
_EXIT_SECONDS = 30


@dataclass(frozen=True)
class Checkout:
    """A process that measures one version of the package, request by request.

    Attributes:
        name: ``mistral-offload``, or the commit.
    """

    name: str
    _requests: IO[str]
    _results: IO[str]

    def measure(self, request: str) -> str:
        """Send a line to the process, and return the line with its result."""
        self._requests.write(f"{request}\n")
        self._requests.flush()
        if not (line := self._results.readline()):
            raise BenchmarkError(f"the process of {self.name} ended: see its output above")
        return line


@contextmanager
def open_checkout(folder: Path, script: Path, arguments: Sequence[str]) -> Generator[Checkout]:
    """Run a script of this project with the packages of a folder, and end it with the block.

    Args:
        folder: a checkout; its ``.venv`` is used if it has one.
        script: the script.
        arguments: its other arguments.
    """
    own = folder / ".venv" / "bin" / "python"
    python = own if own.exists() else Path(sys.executable)
    name = OURS if folder == PROJECT else _commit(folder)
    with open_process(name, python, folder, script, arguments) as checkout:
        yield checkout


@contextmanager
def open_process(
    name: str, python: Path, folder: Path, script: Path, arguments: Sequence[str]
) -> Generator[Checkout]:
    """Run a script with an interpreter, and end it with the block.

    It reads requests from stdin, and writes results to the file descriptor that is its last
    argument.

    Args:
        name: name of the way that it measures.
        python: the interpreter.
        folder: where it finds packages first.
        script: the script.
        arguments: its other arguments.
    """
    reading, writing = os.pipe()
    process = subprocess.Popen(
        [os.fspath(python), os.fspath(script), *arguments, str(writing)],
        stdin=subprocess.PIPE,
        stdout=sys.stderr,
        text=True,
        env={**os.environ, "PYTHONPATH": os.fspath(folder)},
        pass_fds=[writing],
    )
    os.close(writing)
    assert process.stdin is not None
    try:
        with open(reading) as results:
            yield Checkout(name, process.stdin, results)
    finally:
        with contextlib.suppress(BrokenPipeError):
            process.stdin.close()
        try:
            process.wait(_EXIT_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()


def _commit(folder: Path) -> str:
    found = subprocess.run(
        ["git", "-C", os.fspath(folder), "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"commit {found.stdout.strip()}" if found.returncode == 0 else str(folder)
