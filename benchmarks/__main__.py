"""``python -m benchmarks [ROW …] [--quick] [--against FOLDER] [--plots FOLDER] [--json | …]``.

Exits with 0 even when targets are missed, and with another code when a measurement fails.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import (
    activations,
    cached,
    concurrency,
    events,
    executes,
    files,
    imports,
    machine,
    official_workers,
    payload_steps,
    peers,
    providers,
    report,
    scaling,
    small_payloads,
    traffic,
    transfers,
    workflow_runs,
)
from benchmarks.results import Table
from benchmarks.servers import s3_server
from benchmarks.session import Session

GROUPS: dict[str, Callable[[Session], list[Table]]] = {
    "transfers": transfers.measure,
    "providers": providers.measure,
    "concurrency": concurrency.measure,
    "cache": cached.measure,
    "workflows": workflow_runs.measure,
    "activations": activations.measure,
    "executes": executes.measure,
    "events": events.measure,
    "files": files.measure,
    "small": small_payloads.measure,
    "imports": imports.measure,
    "scaling": scaling.measure,
    "steps": payload_steps.measure,
    "peers": peers.measure,
    "official": official_workers.measure,
}
ON_REQUEST = ["peers", "official"]
"""Groups that install other packages, so they run only when they are named."""
NOT_IN_QUICK = ["providers"]
"""Groups that start more servers; the short form runs them only when they are named."""


_ROWS_HELP = f"of: {', '.join(GROUPS)}; default all but {', '.join(ON_REQUEST)}"
_DESCRIPTION = """Measure costs, each next to a comparison. Exits with 0 even when targets are
missed, and with another code when a measurement fails."""


def main() -> None:
    """Measure the requested rows, and print them."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=_DESCRIPTION)
    parser.add_argument("rows", nargs="*", metavar="ROW", help=_ROWS_HELP)
    parser.add_argument("--quick", action="store_true", help="fewer rounds, no large values")
    parser.add_argument(
        "--against",
        type=Path,
        metavar="FOLDER",
        help="a checkout of another commit; activations and executes measure both side by side",
    )
    parser.add_argument(
        "--plots", type=Path, metavar="FOLDER", help="also draw the main tables, as SVG"
    )
    form = parser.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="print JSON")
    form.add_argument("--markdown", action="store_true", help="print Markdown")
    given = parser.parse_args()
    unknown = set(given.rows) - set(GROUPS)
    if unknown:
        parser.error(f"no such rows: {', '.join(sorted(unknown))}; there are {', '.join(GROUPS)}")
    if given.against is not None and not (given.against / "mistral_offload").is_dir():
        parser.error(f"{given.against} is no checkout of mistral-offload")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # so that the servers are stopped
    where = machine.describe()
    traffic.watch()
    with _stdout_kept_clean(), s3_server() as server:
        session = Session(server, given.quick, given.against)
        tables = [
            table
            for name, measure in GROUPS.items()
            if (name in given.rows if given.rows else _is_default(name, quick=given.quick))
            for table in measure(session)
        ]
        session.tell("done")
    if given.plots is not None:
        from benchmarks import plots  # not needed without the option, and slow to import

        for path in plots.write(tables, given.plots):
            session.tell(f"drew {path}")
    if given.json:
        report.print_json(where, tables)
    elif given.markdown:
        report.print_markdown(where, tables)
    else:
        report.print_terminal(where, tables)


def _is_default(name: str, *, quick: bool) -> bool:
    return name not in ON_REQUEST and not (quick and name in NOT_IN_QUICK)


@contextmanager
def _stdout_kept_clean() -> Generator[None]:
    """Redirect stdout to stderr inside the block: Temporal's core logs to stdout."""
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        sys.stdout.flush()
        os.dup2(kept, 1)
        os.close(kept)


if __name__ == "__main__":
    main()
