"""CPU time and memory of activations: values of 1 MB on their way out of a workflow, or into one.

temporalio's deadlock detector and the workflow task's time limit bound an activation, and all
workflows of a process share its interpreter. With ``--against FOLDER`` another checkout is measured
alternately; the targets compare with commit e11c499.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Generator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO
from uuid import uuid4

from benchmarks import targets
from benchmarks.results import BenchmarkError, Line, Row, Table
from benchmarks.session import Session
from mistral_offload.devserver import TemporalServer

_PROJECT = Path(__file__).parent.parent
_WORKER = Path(__file__).with_name("activation_worker.py")
_EXIT_SECONDS = 30

_LIMITS = {"out text": 0.65, "out rows": 0.55, "in rows": 0.5}
_OURS = "mistral-offload"


@dataclass
class _Checkout:
    """A worker of one version of the package.

    Attributes:
        found: milliseconds of CPU in each round.
        grown: megabytes by which the process grew during an activation, in the first round.
    """

    name: str
    requests: IO[str]
    results: IO[str]
    blobs: Path
    found: list[float] = field(default_factory=lambda: [])
    grown: float = 0.0

    def run(self, load: str, count: int) -> tuple[float, float]:
        self.requests.write(f"{load} {count}\n")
        self.requests.flush()
        if not (line := self.results.readline()):
            raise BenchmarkError(f"the worker of {self.name} ended: see its output above")
        for each in self.blobs.iterdir():
            shutil.rmtree(each)
        milliseconds, megabytes = map(float, line.split())
        return milliseconds, megabytes


def measure(session: Session) -> list[Table]:
    """Measure texts and rows, out and in."""
    count, rounds = (15, 1) if session.quick else (100, 5)
    folders = [_PROJECT] if session.against is None else [_PROJECT, session.against.resolve()]
    rows: list[Row] = []
    with TemporalServer() as temporal, ExitStack() as stack:
        checkouts = [stack.enter_context(_checkout(folder, temporal.address)) for folder in folders]
        for load in (*_LIMITS, "in text"):
            session.tell(f"activations: {load}")
            rows.append(_row(load, count, rounds, checkouts))
    notes = (
        "CPU time of the workflow threads, for all activations of one workflow; best case: the "
        "median of the rounds. Growth: of the process's memory during an activation, in the first "
        "workflow of its kind. Blobs are files. The activities run in the same process."
    )
    return [Table("Workflow activations", rows, notes)]


def _row(load: str, count: int, rounds: int, checkouts: Sequence[_Checkout]) -> Row:
    for checkout in checkouts:
        checkout.found = []
    for number in range(rounds + 1):
        for checkout in checkouts if number % 2 else reversed(checkouts):
            milliseconds, megabytes = checkout.run(load, count)
            if number:  # the first warms up
                checkout.found.append(milliseconds)
            else:  # later ones find freed memory, which the process has kept
                checkout.grown = megabytes
    ours, *others = medians = [statistics.median(each.found) for each in checkouts]
    lines = [
        Line(
            checkout.name,
            rounds,
            ratio=ours / median if checkout.name != _OURS else None,
            more={
                "thread CPU": f"{median:.0f} ms",
                "range": _range(checkout.found),
                "growth": f"{checkout.grown:.0f} MB",
            },
        )
        for checkout, median in zip(checkouts, medians, strict=True)
    ]
    limit = _LIMITS.get(load)
    judged = (
        [targets.at_most("thread CPU", ours / others[0], limit, "x")] if others and limit else []
    )
    return Row(f"{count} x 1 MB {load}", lines, judged)


def _range(found: Sequence[float]) -> str:
    return f"{min(found):.0f} to {max(found):.0f} ms"


@contextmanager
def _checkout(folder: Path, target: str) -> Generator[_Checkout]:
    own = folder / ".venv" / "bin" / "python"
    with tempfile.TemporaryDirectory(prefix="activations-") as blobs:
        reading, writing = os.pipe()
        worker = subprocess.Popen(
            [
                own if own.exists() else sys.executable,
                _WORKER,
                target,
                f"bench-{uuid4().hex[:8]}",
                blobs,
                str(writing),
            ],
            stdin=subprocess.PIPE,
            stdout=sys.stderr,
            text=True,
            env={**os.environ, "PYTHONPATH": os.fspath(folder)},
            pass_fds=[writing],
        )
        os.close(writing)
        assert worker.stdin is not None
        name = _OURS if folder == _PROJECT else _commit(folder)
        try:
            with open(reading) as results:
                yield _Checkout(name, worker.stdin, results, Path(blobs))
        finally:
            with contextlib.suppress(BrokenPipeError):
                worker.stdin.close()
            try:
                worker.wait(_EXIT_SECONDS)
            except subprocess.TimeoutExpired:
                worker.kill()
                worker.wait()


def _commit(folder: Path) -> str:
    found = subprocess.run(
        ["git", "-C", folder, "rev-parse", "--short", "HEAD"],
        capture_output=True,
        text=True,
        check=False,
    )
    return f"commit {found.stdout.strip()}" if found.returncode == 0 else str(folder)
