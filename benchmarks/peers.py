"""The same workflows with this package and with peers, each in a process of its own.

A peer whose packages do not go together with ours has an environment of its own, which is made the
first time; so this group runs only when it is asked for.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Generator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.checkouts import OURS, PROJECT, Checkout, open_process
from benchmarks.measurement import Cost, summary
from benchmarks.results import BenchmarkError, Line, Row, Table
from benchmarks.session import Session
from mistral_offload.devserver import TemporalServer

_SCRIPT = Path(__file__).with_name("peer_worker.py")
_ENVIRONMENTS = PROJECT / ".venv" / "peers"
_PEERS = {
    "external-storage": (
        "temporalio's ExternalStorage with its S3 driver",
        ["temporalio[aioboto3]==1.35.0", "aioboto3==15.5.0"],
    ),
}
_LOADS = [("chain", 3_000_000, 6), ("fan-out", 1_000_000, 10)]
_ROUNDS = 5


def measure(session: Session) -> list[Table]:
    """Measure a chain and a fan-out, then their replays by another worker."""
    rows: list[Row] = []
    with TemporalServer() as temporal, _peers(session, temporal) as peers:
        for name, size, number in _LOADS:
            session.tell(f"peers: {name}")
            rows += _rows(session, peers, name, size, 2 if session.quick else number)
            session.server.clear()
    notes = (
        "Each way is a process that is both client and worker, with the defaults of its package. "
        "Its client of the store is a new one in each round, made before the clock starts; "
        "requests are counted in the store's log. `replayed` is by another worker, whose cache is "
        "empty. The driver sends a HEAD before each PUT, and both check digests when they read. "
        "Temporal's own values stay in the history below 256 KiB, as here."
    )
    return [Table("Peers", rows, notes)]


def _rows(session: Session, peers: list[Checkout], name: str, size: int, number: int) -> list[Row]:
    runs: dict[str, list[Cost]] = {peer.name: [] for peer in peers}
    replays: dict[str, list[Cost]] = {peer.name: [] for peer in peers}
    tasks: dict[str, str] = {}
    for round_ in range((1 if session.quick else _ROUNDS) + 1):
        for peer in peers if round_ % 2 else reversed(peers):
            run, found = _cost(session, peer, ["run", name, size, number])
            if found["result"] != (1 if name == "chain" else number) * (size // 11 * 11):
                raise BenchmarkError(f"{peer.name} returned {found['result']} for {name}")
            replay, _ = _cost(session, peer, ["replay"])
            tasks[peer.name] = str(found["tasks"])
            if round_:  # the first one imports and connects
                runs[peer.name].append(run)
                replays[peer.name].append(replay)
    title = f"{name} of {number} x {size / 1_000_000:g} MB"
    return [
        Row(title, _lines(runs, tasks)),
        Row(f"{title}, replayed", _lines(replays, {})),
    ]


def _cost(session: Session, peer: Checkout, request: list[Any]) -> tuple[Cost, dict[str, Any]]:
    requests, server = session.server.requests(""), session.server.cpu_seconds()
    found = json.loads(peer.measure(json.dumps(request)))
    server = session.server.cpu_seconds() - server
    requests = session.server.requests("") - requests
    return Cost(found["seconds"], found["cpu_seconds"], server, requests, 0), found


def _lines(costs: Mapping[str, list[Cost]], tasks: Mapping[str, str]) -> list[Line]:
    ours = costs[OURS]
    found = [summary(name, each, ours=ours) for name, each in costs.items()]
    return [
        replace(
            line,
            connections=None,  # not counted in other processes
            more={"workflow tasks": tasks[line.way]} if tasks else {},
        )
        for line in found
    ]


@contextmanager
def _peers(session: Session, temporal: TemporalServer) -> Generator[list[Checkout]]:
    """Run the process of each way; ours is the first."""
    bucket = json.dumps(session.server.bucket._asdict())
    place = [bucket, temporal.address, temporal.namespace]
    with ExitStack() as stack:
        peers = [
            stack.enter_context(
                open_process(OURS, Path(sys.executable), PROJECT, _SCRIPT, ["ours", *place])
            )
        ]
        for kind, (name, requirements) in _PEERS.items():
            python = _environment(session, kind, requirements)
            peers.append(
                stack.enter_context(open_process(name, python, PROJECT, _SCRIPT, [kind, *place]))
            )
        yield peers


def _environment(session: Session, kind: str, requirements: list[str]) -> Path:
    """Return the interpreter of a peer's environment, which is made if it is not there."""
    folder = _ENVIRONMENTS / kind
    python, made = folder / "bin" / "python", folder / "requirements"
    wanted = "\n".join(requirements)
    if not made.exists() or made.read_text() != wanted:
        session.tell(f"peers: installing {wanted}")
        subprocess.run([sys.executable, "-m", "venv", "--clear", folder], check=True)
        install = [str(python), "-m", "pip", "install", "--quiet", *requirements]
        subprocess.run(install, check=True, stdout=sys.stderr)
        made.write_text(wanted)
    return python
