"""A worker that reports events, beside the same worker with reports turned off."""

from __future__ import annotations

import asyncio
import itertools
import statistics
import time
from collections import Counter
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from temporalio.client import Client

from benchmarks import reporting_worker, targets
from benchmarks.executes import storage_variables
from benchmarks.measurement import cpu_seconds_of
from benchmarks.results import BenchmarkError, Line, Row, Table
from benchmarks.session import Session
from mistral_offload.config import PayloadOffloadingConfig
from mistral_offload.devserver import TemporalServer
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal import data_converter
from tests.events.platform import ReportingPlatform
from tests.servers.worker import WorkerProcess

_TIME_LIMIT, _CPU_LIMIT = 1.03, 1.10
_MOST_POSTED_BYTES, _MOST_REQUESTS = 20_000, 4
_SETTLE_SECONDS = 1.6
_WAYS = {"reports on": "reference", "reports off": "off"}


@dataclass(frozen=True)
class Load:
    """A workflow, and how it is executed.

    Attributes:
        name: name of the row.
        workflow: the workflow.
        size: size of its value in bytes.
        number: executions in a round.
        pause_seconds: pause after each execution, in which its reports are sent.
    """

    name: str
    workflow: str
    size: int
    number: int
    pause_seconds: float = 0.0


_LOADS = [
    Load("echo of 1 kB", "bench-echo", 1_000, 40),
    Load("chain of 10 activities, 1 kB", "bench-chain", 1_000, 10),
    Load("echo of 8 MB", "bench-echo", 8_000_000, 3, 1.0),
]
# Most of the time of a load is pauses.
_QUICK_LOADS = [
    Load("echo of 1 kB", "bench-echo", 1_000, 5),
    Load("echo of 8 MB", "bench-echo", 8_000_000, 1),
]

_numbers = itertools.count(1)


@dataclass
class Costs:
    """Costs of the executions of one way.

    Attributes:
        seconds: wall time of each execution.
        cpu: CPU time of the worker for each round, divided by its executions.
        reports: requests to the platform.
        posted: bytes of their bodies.
        stored: requests to the store by method.
        executions: number of executions.
    """

    seconds: list[float] = field(default_factory=list[float])
    cpu: list[float] = field(default_factory=list[float])
    reports: int = 0
    posted: int = 0
    stored: Counter[str] = field(default_factory=Counter[str])
    executions: int = 0


def measure(session: Session) -> list[Table]:
    """Measure echoes and a chain, in the short form echoes alone, with reports on and off."""
    return asyncio.run(_measure(session))


async def _measure(session: Session) -> list[Table]:
    first, rounds = (1, 1) if session.quick else (0, 8)
    bucket = session.server.bucket
    offloading = PayloadOffloadingConfig(storage_config=bucket.storage())
    with ExitStack() as stack:
        temporal = stack.enter_context(TemporalServer())
        platform = stack.enter_context(ReportingPlatform(temporal.address, temporal.namespace))
        workers: dict[str, WorkerProcess] = {}
        for way, setting in _WAYS.items():
            workers[way] = WorkerProcess(
                platform,
                storage_variables(bucket),
                script=Path(reporting_worker.__file__),
                environment={"MISTRAL_OFFLOAD_EVENTS": setting},
            )
            stack.callback(workers[way].stop)
        client = await Client.connect(
            temporal.address,
            namespace=temporal.namespace,
            data_converter=data_converter(PayloadEncoder(offloading)),
        )
        rows: list[Row] = []
        for load in _QUICK_LOADS if session.quick else _LOADS:
            session.tell(f"events: {load.name}")
            costs = {way: Costs() for way in _WAYS}
            for number in range(first, rounds + 1):
                for way in _WAYS if number % 2 else reversed(_WAYS):
                    measured = costs[way] if number else Costs()  # the first warms up
                    await _run(session, client, platform, workers[way], load, measured)
            rows.append(_row(load, rounds, costs))
    session.server.clear()
    notes = (
        "Client, Temporal, store and the two workers are separate processes; the platform only "
        "counts. CPU is the worker's, until its reports were sent. Ratios are medians of those of "
        "the rounds; PUTs are those of client and worker. Executions follow each other at once, "
        "those of 8 MB after a second, in which what was stored for events is written."
    )
    return [Table("Events of a worker", rows, notes)]


async def _run(
    session: Session,
    client: Client,
    platform: ReportingPlatform,
    worker: WorkerProcess,
    load: Load,
    costs: Costs,
) -> None:
    """Execute the workflows of one round, one after the other."""
    reports, stored = len(platform.requests), session.server.requests()
    began = cpu_seconds_of(worker.pid)
    times: list[float] = []
    for _ in range(load.number):
        number = next(_numbers)
        note: dict[str, Any] = {"number": number, "text": f"{number} ".ljust(load.size, "x")}
        start = time.perf_counter()
        result = await client.execute_workflow(
            load.workflow, note, id=f"{load.workflow}-{number}", task_queue=worker.deployment
        )
        times.append(time.perf_counter() - start)
        await asyncio.sleep(load.pause_seconds)
        if result["text"] != note["text"]:
            raise BenchmarkError(f"{load.name} returned a wrong value")
    await asyncio.sleep(_SETTLE_SECONDS)
    costs.cpu.append((cpu_seconds_of(worker.pid) - began) / load.number)
    costs.seconds.append(statistics.median(times))
    costs.reports += len(platform.requests) - reports
    costs.posted += sum(report.size for report in platform.requests[reports:])
    costs.stored += session.server.requests() - stored
    costs.executions += load.number


def _row(load: Load, rounds: int, costs: dict[str, Costs]) -> Row:
    ours, silent = costs.values()
    lines = [
        Line(
            way,
            rounds,
            median_ms=statistics.median(found.seconds) * 1000,
            cpu_ms=statistics.median(found.cpu) * 1000,
            more={
                "requests to the platform": f"{found.reports / found.executions:.1f}",
                "posted kB": f"{found.posted / found.executions / 1000:.1f}",
                "PUT": f"{found.stored['PUT'] / found.executions:.1f}",
                "GET": f"{found.stored['GET'] / found.executions:.1f}",
            },
        )
        for way, found in costs.items()
    ]
    judged = [
        targets.at_most("time", _ratio(ours.seconds, silent.seconds), _TIME_LIMIT, "x"),
        targets.at_most("worker CPU", _ratio(ours.cpu, silent.cpu), _CPU_LIMIT, "x"),
    ]
    if load.workflow == "bench-echo":
        posted, reports = ours.posted / ours.executions, ours.reports / ours.executions
        judged.append(targets.at_most("posted", posted / 1000, _MOST_POSTED_BYTES / 1000, " kB"))
        judged.append(targets.at_most("requests to the platform", reports, _MOST_REQUESTS, ""))
    return Row(load.name, lines, judged)


def _ratio(ours: list[float], others: list[float]) -> float:
    return statistics.median(our / other for our, other in zip(ours, others, strict=True))
