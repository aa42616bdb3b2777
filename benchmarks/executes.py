"""One execution end to end: client, platform, worker, and back.

With ``--against FOLDER`` another checkout is measured alternately; the targets compare with commit
e11c499.
"""

from __future__ import annotations

import asyncio
import itertools
import json
import statistics
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import SecretStr

from benchmarks import echo_worker, memory, targets
from benchmarks.checkouts import OURS, PROJECT, open_checkout
from benchmarks.measurement import Way, cpu_seconds_of, percentile_95, race
from benchmarks.results import MEGABYTE, BenchmarkError, Line, Row, Table
from benchmarks.servers import Bucket
from benchmarks.session import Session
from benchmarks.values import json_of
from benchmarks.ways import Pooled
from mistral_offload import Mistral, PayloadOffloadingConfig
from tests.cli.command import Dev
from tests.servers.worker import WorkerProcess

_PAGE = "All work and no play makes Jack a dull boy. " * 22
_LARGE_PAGES, _SMALL_PAGES = 8_000, 1
_SIZE = 8_000_000
_CLIENT = Path(__file__).with_name("execute_client.py")
_LIMITS = {"1 kB": (_SMALL_PAGES, 0.5), "8 MB": (_LARGE_PAGES, 0.6)}
"""Pages of a document, and the limit of our time compared with the other checkout's."""

Document = dict[str, Any]

_numbers = itertools.count()


def measure(session: Session) -> list[Table]:
    """Measure 8 MB in and 8 MB out, compared with 1 kB and with the transfers alone."""
    session.tell("executes")
    bucket = session.server.bucket
    with Dev() as platform:
        variables = storage_variables(bucket)
        worker = WorkerProcess(platform, variables, script=Path(echo_worker.__file__))
        try:
            row = _row(session, platform, worker)
        finally:
            worker.stop()
    rows = [row] if session.against is None else [row, *_rows_against(session, session.against)]
    session.server.clear()
    notes = (
        "Client, platform, Temporal, worker and store are separate processes. CPU and connections "
        "are the client's; requests are those of all processes to the store; the worker's peak is "
        "its whole memory. The platform holds the client's request until there is a result."
    )
    return [Table("Execute and wait", rows, notes)]


def _row(session: Session, platform: Dev, worker: WorkerProcess) -> Row:
    offloading = PayloadOffloadingConfig(storage_config=session.server.bucket.storage())
    loop = asyncio.new_event_loop()
    with Mistral(
        platform.api_key,
        server_url=platform.server_url,
        workflow_payload_offloading=offloading,
    ) as client:
        workflows = client.workflows
        name, where = "bench-turn", worker.deployment

        def execute(document: Document) -> Any:
            return workflows.execute_workflow_and_wait(name, input=document, deployment_name=where)

        def execute_async(document: Document) -> Any:
            return loop.run_until_complete(
                workflows.execute_workflow_and_wait_async(
                    name, input=document, deployment_name=where
                )
            )

        runs = [
            Run(session, worker, execute, _LARGE_PAGES),
            Run(session, worker, execute_async, _LARGE_PAGES),
            Run(session, worker, execute, _SMALL_PAGES),
        ]
        names = ["8 MB", "8 MB, async", "1 kB, nothing offloaded"]
        ways = [run.way(name) for run, name in zip(runs, names, strict=True)]
        ways.append(_transfers(session))
        lines = race(ways, 1 if session.quick else 10, session.server.cpu_seconds)
        loop.run_until_complete(client.close_async())
    loop.close()
    return Row(
        "8 MB in, 8 MB out",
        [*(run.completed(line) for run, line in zip(runs, lines[:-1], strict=True)), lines[-1]],
    )


def _rows_against(session: Session, against: Path) -> list[Row]:
    """Measure client, platform and worker of two checkouts alternately."""
    storage = json.dumps(storage_variables(session.server.bucket))
    folders = [PROJECT, against.resolve()]
    rounds = 1 if session.quick else 10
    costs: dict[str, dict[str, list[Costs]]] = {load: {} for load in _LIMITS}
    with ExitStack() as stack:
        checkouts = [
            stack.enter_context(open_checkout(folder, _CLIENT, [storage])) for folder in folders
        ]
        for number in range(rounds + 1):
            for load, (pages, _) in _LIMITS.items():
                for checkout in checkouts if number % 2 else reversed(checkouts):
                    found = [float(each) for each in checkout.measure(str(pages)).split()]
                    if number:  # the first warms up
                        costs[load].setdefault(checkout.name, []).append(Costs(*found))
    return [_row_against(load, _LIMITS[load][1], costs[load]) for load in costs]


def _row_against(load: str, limit: float, costs: Mapping[str, Sequence[Costs]]) -> Row:
    medians = {
        name: Costs(*(statistics.median(each) for each in zip(*found, strict=True)))
        for name, found in costs.items()
    }
    ours = medians[OURS]
    lines = [
        Line(
            name,
            rounds=len(costs[name]),
            median_ms=median.seconds * 1000,
            p95_ms=percentile_95([each.seconds for each in costs[name]]) * 1000,
            ratio=None if name == OURS else ours.seconds / median.seconds,
            cpu_ms=median.cpu * 1000,
            more={"worker CPU ms": f"{median.worker_cpu * 1000:.0f}"},
        )
        for name, median in medians.items()
    ]
    others = [median for name, median in medians.items() if name != OURS]
    judged = [targets.at_most("time", ours.seconds / each.seconds, limit, "x") for each in others]
    return Row(f"{load}, two checkouts", lines, judged)


class Costs(NamedTuple):
    """Costs of one execution in seconds."""

    seconds: float
    cpu: float
    worker_cpu: float


class Run:
    """One way to execute, with the costs of all processes."""

    def __init__(
        self,
        session: Session,
        worker: WorkerProcess,
        execute: Callable[[Document], Any],
        pages: int,
    ) -> None:
        self._server = session.server
        self._worker = worker
        self._execute = execute
        self._pages = pages
        self._document: Document = {}
        self._requests: Counter[str] = Counter()
        self._worker_cpu = 0.0
        self._worker_cpus: list[float] = []
        self._worker_peaks: list[float] = []
        self._counted: list[Counter[str]] = []

    def way(self, name: str) -> Way:
        """Return the way to measure, with a new document each time."""
        return Way(
            name, lambda: self._execute(self._document), before=self._prepare, after=self._check
        )

    def completed(self, line: Line) -> Line:
        """Add the requests of all processes and the worker's cost, without the first round."""
        requests = sum(self._counted[1:], Counter[str]())
        more = {
            "worker CPU ms": f"{statistics.mean(self._worker_cpus[1:]) * 1000:.0f}",
            "worker peak MB": f"{max(self._worker_peaks[1:]):.0f}",
        }
        counts = {method: count / line.rounds for method, count in requests.items()}
        return replace(line, requests=counts, more=more)

    def _prepare(self) -> None:
        number = next(_numbers)
        pages = [f"{number}/{page} {_PAGE}" for page in range(self._pages)]
        self._document = {"title": f"document {number}", "pages": pages}
        memory.lower_mark(self._worker.pid)
        self._requests = self._server.requests()
        self._worker_cpu = cpu_seconds_of(self._worker.pid)

    def _check(self, result: Any) -> None:
        self._counted.append(self._server.requests() - self._requests)
        self._worker_peaks.append(memory.high_water_mb(self._worker.pid))
        self._worker_cpus.append(cpu_seconds_of(self._worker.pid) - self._worker_cpu)
        if result != {**self._document, "pages": self._document["pages"][::-1]}:
            raise BenchmarkError("the workflow returned a wrong document")


def _transfers(session: Session) -> Way:
    """Two blobs written and read once each: the transfers of an execution alone."""
    pooled, data = Pooled(session.server.bucket), json_of(_SIZE)

    def move() -> None:
        for _ in range(2):
            name = f"moved/{next(_numbers)}"
            pooled.put(name, data)
            pooled.get(name)

    return Way(f"boto3, pooled: 2 puts and 2 gets of {_SIZE / MEGABYTE:g} MB", move)


def storage_variables(bucket: Bucket) -> dict[str, str]:
    """Return the storage block of a worker's environment."""
    given = bucket.storage().model_dump(exclude_defaults=True)
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in given.items()
    }
