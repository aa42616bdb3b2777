"""``mistral-offload worker``: runs a worker for workflows of the user's modules."""

from __future__ import annotations

import signal
from collections.abc import Coroutine
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any

import typer

from mistral_offload.cli.event_loop import run_async
from mistral_offload.cli.interrupts import end_by_itself, end_within

DEFAULT_STOP_SECONDS = 20.0

STOP_MARGIN_SECONDS = 5.0
"""Time after the stop for activities that end when they are cancelled, and for their reports."""

_EXIT_SECONDS = 2.0


def worker(
    workflows: Annotated[
        list[str],
        typer.Argument(
            metavar="MODULE[:CLASS]...",
            help="Workflow classes; a module alone stands for all workflows defined in it.",
            show_default=False,
        ),
    ],
    env_file: Annotated[
        Path | None,
        typer.Option(
            exists=True,
            dir_okay=False,
            help="File with variables, NAME=value per line. Those of the environment win.",
        ),
    ] = None,
    task_queue: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Deployment of this worker, which is its task queue; instead of DEPLOYMENT_NAME.",
        ),
    ] = None,
    health_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            help="Serve GET /ready and GET /live on this port; 0 takes a free one.",
        ),
    ] = None,
    health_host: Annotated[
        str, typer.Option(help="Address of that port; any but loopback exposes it to the network.")
    ] = "127.0.0.1",
    stop_seconds: Annotated[
        float,
        typer.Option(min=0, help="Time that running activities have to end after a stop."),
    ] = DEFAULT_STOP_SECONDS,
) -> None:
    """Run a worker until Ctrl-C (SIGINT) or SIGTERM.

    Modules are searched in the current directory first.
    Settings are the worker's variables. A second signal stops at once.
    All activities decorated in the imported modules are run as well.

    Exit codes: 0 stopped by a signal; 1 the platform, Temporal or the
    worker failed, or a module raised an error when it was imported; 2 a
    wrong option, setting or name, an import that is missing, or a store
    that cannot be used.
    """
    limits = {
        "graceful_shutdown_timeout": timedelta(seconds=stop_seconds),
        "health_port": health_port,
        "health_host": health_host,
        "on_stop": lambda: end_within(stop_seconds + STOP_MARGIN_SECONDS),
    }
    end_by_itself()
    # At once, since a container's first process ignores SIGTERM without a handler, and a shell's
    # background jobs ignore SIGINT.
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.default_int_handler)
    try:
        working = _prepare(workflows, env_file, task_queue, limits)
    except KeyboardInterrupt:
        return
    run_async(working)
    # What a caller waited for is done, uploads included; only abandoned requests can be left.
    end_within(_EXIT_SECONDS)


def _prepare(
    names: list[str], env_file: Path | None, task_queue: str | None, limits: dict[str, Any]
) -> Coroutine[Any, Any, None]:
    from mistral_offload.cli.worker_modules import load_env_file, load_workflows

    if env_file is not None:
        load_env_file(env_file)
    classes = load_workflows(names)

    from mistral_offload.workflows import WorkerOptions, WorkerSettings, run_worker

    given: dict[str, Any] = {} if task_queue is None else {"deployment_name": task_queue}
    return run_worker(classes, settings=WorkerSettings(**given), options=WorkerOptions(**limits))
