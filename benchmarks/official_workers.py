"""The official worker with its own engine, and the same worker with this one's in it.

All are the same installation, in which variables switch the engine, and references in events. It is
made the first time; so this group runs only when it is asked for.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from uuid import uuid4

from benchmarks import targets
from benchmarks.checkouts import OURS, PROJECT
from benchmarks.measurement import Cost, cpu_seconds_of, summary
from benchmarks.results import MEGABYTE, BenchmarkError, Line, Row, Table
from benchmarks.session import Session
from mistral_offload import Mistral
from mistral_offload.config import PayloadOffloadingConfig
from tests.cli.command import Dev
from tests.official.environments import PLUGIN
from tests.servers.proxy import CountingProxy
from tests.servers.worker import WorkerProcess

_SCRIPT = PROJECT / "tests" / "official" / "payload_worker.py"
_OFFICIAL = "mistralai-workflows"
_REFERENCES = f"{OURS}, events by reference"
_WAYS = {
    OURS: {"MISTRAL_OFFLOAD_OFFICIAL": "on"},
    _OFFICIAL: {"MISTRAL_OFFLOAD_OFFICIAL": "off"},
    _REFERENCES: {"MISTRAL_OFFLOAD_EVENTS": "reference"},
}
_ENGINES = (OURS, _OFFICIAL)
_ROUNDS = 5
_REPLAYS = 3
_ECHO = "echo of 8 MB"
_STEPS = 10
_CHAIN = f"chain of {_STEPS} x 3 MB"
_REPLAYED = f"{_CHAIN}, replayed"
_TARGETS = {_ECHO: 3.5, _CHAIN: 9.0, _REPLAYED: 6.5}
_RUNS: tuple[tuple[str, str, int, dict[str, int]], ...] = (
    (_ECHO, "large-echo", 8 * MEGABYTE, {}),
    (_CHAIN, "large-chain", 3 * MEGABYTE, {"number": _STEPS}),
)
_POSTED = 0.01
"""Bound of the bytes posted with references, by those posted without."""


def measure(session: Session) -> list[Table]:
    """Measure an echo and a chain, then replays of the chain by new workers."""
    session.tell("official: installing")
    PLUGIN.python()
    rounds = 1 if session.quick else _ROUNDS
    with Dev() as platform, _client(session, platform) as client:
        workers = {way: _start(session, platform, way) for way in _WAYS}
        try:
            costs = _run(session, client, workers, rounds)
        finally:
            for worker in workers.values():
                worker.stop()
        reports = {way: _reports(session, platform, client, way) for way in (OURS, _REFERENCES)}
        replays = {_REPLAYED: _replays(session, platform, client, rounds)}
    engines = {
        name: {way: each[way] for way in _ENGINES} for name, each in (costs | replays).items()
    }
    notes = (
        "Both workers are the same installation of the official packages, one of them with "
        "MISTRAL_OFFLOAD_OFFICIAL=off, and without telemetry; the client is this package's. "
        f"`chain` passes one value of 3 MB through {_STEPS} activities. `replayed` is a query of "
        "the ended chain to a new worker, which has run another workflow, without blobs. CPU "
        "times are the worker's; requests are counted in the store's log, the client's included."
    )
    about_events = (
        "The same rounds, with a third worker that has MISTRAL_OFFLOAD_EVENTS=reference. Reports "
        "are its requests to the platform's routes for executions and events."
    )
    return [
        Table("Official worker", [_row(name, each) for name, each in engines.items()], notes),
        Table(
            "Official worker, events by reference",
            [_events_row(name, each, reports) for name, each in costs.items()],
            about_events,
        ),
    ]


def _run(
    session: Session, client: Mistral, workers: Mapping[str, WorkerProcess], rounds: int
) -> dict[str, dict[str, list[Cost]]]:
    costs: dict[str, dict[str, list[Cost]]] = {}
    for name, workflow, size, rest in _RUNS:
        session.tell(f"official: {name}")
        found = costs[name] = {way: list[Cost]() for way in workers}
        for number in range(rounds + 1):
            for way in workers if number % 2 else reversed(list(workers)):
                given = {"text": _text(size), **rest}
                execute = partial(_execute, client, workers[way], workflow, given)
                cost = _cost(session, workers[way], execute)
                if number:  # the first one imports and connects
                    found[way].append(cost)
        session.server.clear()
    return costs


def _replays(
    session: Session, platform: Dev, client: Mistral, rounds: int
) -> dict[str, list[Cost]]:
    """Measure a query to a new worker, which replays the chain; its caches are empty."""
    session.tell("official: replays")
    costs = {way: list[Cost]() for way in _ENGINES}
    for _ in range(min(rounds, _REPLAYS)):
        for way in _ENGINES:
            worker = _start(session, platform, way)
            try:
                given = {"text": _text(3 * MEGABYTE), "number": _STEPS}
                execution_id = _execute(client, worker, "large-chain", given)
                deployment = worker.deployment
            finally:
                worker.stop()
            worker = _start(session, platform, way, deployment)
            try:
                _execute(client, worker, "large-chain", {"text": "x", "number": 1})
                costs[way].append(_cost(session, worker, partial(_query, client, execution_id)))
            finally:
                worker.stop()
    return costs


def _reports(
    session: Session, platform: Dev, client: Mistral, way: str
) -> dict[str, tuple[int, int]]:
    """Return the number and the bytes of a worker's reports, by the name of the run."""
    session.tell(f"official: reports of {way}")
    proxy = CountingProxy(urlsplit(platform.server_url).port or 80)
    worker = _start(session, platform, way, server_url=proxy.url)
    found: dict[str, tuple[int, int]] = {}
    try:
        for name, workflow, size, rest in _RUNS:
            proxy.clear()
            _execute(client, worker, workflow, {"text": _text(size), **rest})
            reports = [
                int(request.fields.get("content-length", 0))
                for request in proxy.requests
                if re.search("/event|/executions/register", request.path)
            ]
            found[name] = len(reports), sum(reports)
    finally:
        worker.stop()
        proxy.stop()
    return found


def _execute(client: Mistral, worker: WorkerProcess, workflow: str, given: dict[str, Any]) -> str:
    execution_id = uuid4().hex
    result: object = client.workflows.execute_workflow_and_wait(
        workflow,
        input=given,
        execution_id=execution_id,
        deployment_name=worker.deployment,
        timeout_seconds=120,
    )
    if result != {"text": given["text"]}:
        raise BenchmarkError(f"{workflow} returned another text")
    return execution_id


def _query(client: Mistral, execution_id: str) -> None:
    response = client.workflows.executions.query_workflow_execution(execution_id, name="steps")
    if response.result != {"text": str(_STEPS)}:
        raise BenchmarkError(f"the query returned {response.result}")


def _cost(session: Session, worker: WorkerProcess, work: Callable[[], object]) -> Cost:
    requests, server = session.server.requests(""), session.server.cpu_seconds()
    cpu, began = cpu_seconds_of(worker.pid), time.perf_counter()
    work()
    seconds = time.perf_counter() - began
    cpu = cpu_seconds_of(worker.pid) - cpu
    server = session.server.cpu_seconds() - server
    return Cost(seconds, cpu, server, session.server.requests("") - requests, 0)


def _row(name: str, costs: Mapping[str, list[Cost]]) -> Row:
    ours = costs[OURS]
    lines = [summary(way, each, ours=ours) for way, each in costs.items()]
    judged = [targets.times_faster(line, _TARGETS[name]) for line in lines[1:]]
    return Row(name, [replace(line, connections=None) for line in lines], judged)


def _events_row(
    name: str,
    costs: Mapping[str, list[Cost]],
    reports: Mapping[str, Mapping[str, tuple[int, int]]],
) -> Row:
    ours = costs[_REFERENCES]
    lines: list[Line] = []
    for way in (_REFERENCES, OURS, _OFFICIAL):
        number, size = reports[way if way in reports else OURS][name]  # the official one's, too
        line = summary(way, costs[way], ours=ours)
        more = {"reports": str(number), "bytes posted": f"{size:,}"}
        lines.append(replace(line, connections=None, more=more))
    ratio = reports[_REFERENCES][name][1] / reports[OURS][name][1]
    judged = targets.at_most("bytes posted, by whole events", ratio, _POSTED, "x")
    return Row(name, lines, [judged])


def _start(
    session: Session,
    platform: Dev,
    way: str,
    deployment: str | None = None,
    *,
    server_url: str | None = None,
) -> WorkerProcess:
    bucket = session.server.bucket
    return WorkerProcess(
        platform,
        {
            "bucket_name": bucket.name,
            "endpoint_url": bucket.endpoint_url,
            "region_name": bucket.region_name,
            "aws_access_key_id": bucket.access_key,
            "aws_secret_access_key": bucket.secret_key,
        },
        script=_SCRIPT,
        python=PLUGIN.python(),
        deployment=deployment,
        environment={
            "PYTHONPATH": str(PROJECT),
            **_WAYS[way],
            **({} if server_url is None else {"SERVER_URL": server_url}),
            # Its redaction searches every reported value for secrets, for longer than all the rest.
            "OTEL_ENABLED": "false",
        },
    )


@contextmanager
def _client(session: Session, platform: Dev) -> Generator[Mistral]:
    offloading = PayloadOffloadingConfig(storage_config=session.server.bucket.storage())
    with Mistral(
        platform.api_key, server_url=platform.server_url, workflow_payload_offloading=offloading
    ) as client:
        yield client


def _text(size: int) -> str:
    """Return a new text of this size, which is in no cache."""
    line = uuid4().hex
    return line * (size // len(line))
