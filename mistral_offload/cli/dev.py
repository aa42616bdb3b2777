"""``mistral-offload dev``: runs the local platform until Ctrl-C."""

from __future__ import annotations

import logging
import shlex
import signal
import sys
import time
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from mistral_offload.cli.interrupts import end_by_itself
from mistral_offload.cli.settings import ConfigOption, load_settings

if TYPE_CHECKING:
    from mistral_offload.devserver import LocalPlatform

_CHECK_SECONDS = 0.5
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class LogLevel(str, Enum):
    """The lowest level of logs to show."""

    DEBUG = "debug"
    INFO = "info"
    WARN = "warn"
    ERROR = "error"


def dev(
    host: Annotated[
        str, typer.Option(help="Address to bind; any but loopback exposes it to the network.")
    ] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port of the REST API; 0 takes a free one.")] = 0,
    temporal_port: Annotated[int, typer.Option(help="Port of Temporal; 0 takes a free one.")] = 0,
    namespace: Annotated[
        str, typer.Option(help="The namespace of all executions.")
    ] = "mistral-workflows",
    db: Annotated[
        Path | None,
        typer.Option(dir_okay=False, help="File that keeps executions; without it, they are lost."),
    ] = None,
    ui: Annotated[
        bool, typer.Option("--ui", help="Serve Temporal's UI, with payloads decoded.")
    ] = False,
    ui_port: Annotated[int, typer.Option(help="Port of the UI; 0 takes a free one.")] = 0,
    api_key: Annotated[
        str | None, typer.Option(help="The key that requests must carry; by default, a random one.")
    ] = None,
    config: ConfigOption = None,
    log_level: Annotated[
        LogLevel | None, typer.Option(help="Show logs on stderr, from this level on.")
    ] = None,
) -> None:
    """Run the platform on this machine: Temporal and the REST API. For development only.

    Shows the steps of the start on stderr, then the addresses and variables on stdout. With --ui,
    payloads are decoded with the worker's variables, or --config; on this machine only.
    Ctrl-C (SIGINT) and SIGTERM stop everything, with exit code 0.
    """
    started = time.monotonic()

    def show_step(text: str) -> None:
        typer.echo(f"{time.monotonic() - started:5.1f} s  {text}", err=True)

    show_step("loading the local platform")
    from mistral_offload.devserver import LocalPlatform

    end_by_itself()
    if log_level is not None:
        logging.basicConfig(level=log_level.name)
    # SIGINT as well, since a shell's background jobs start with it ignored.
    for number in _STOP_SIGNALS:
        signal.signal(number, signal.default_int_handler)
    try:
        with LocalPlatform(
            host=host,
            port=port,
            temporal_port=temporal_port,
            namespace=namespace,
            db=db,
            ui=ui,
            ui_port=ui_port,
            encoder=load_settings(config).payload_encoder() if ui else None,
            log_level=log_level.value if log_level else "error",
            logs=sys.stderr.buffer if log_level else None,
            api_key=api_key,
            on_step=show_step,
        ) as platform:
            show_step("ready")
            _announce(platform, db)
            _run_until_interrupted(platform)
    except KeyboardInterrupt:
        return  # interrupted during the start: the parts that had started are stopped again


def _run_until_interrupted(platform: LocalPlatform) -> None:
    try:
        while True:
            platform.check()
            time.sleep(_CHECK_SECONDS)
    except KeyboardInterrupt:
        # Stopping takes a second or two; a second Ctrl-C would only leave processes behind.
        for number in _STOP_SIGNALS:
            signal.signal(number, signal.SIG_IGN)


def _announce(platform: LocalPlatform, db: Path | None) -> None:
    console = Console(highlight=False, soft_wrap=True)
    console.print("Local platform for Mistral Workflows", style="bold", end=": ")
    console.print("for development only, never for production.\n")
    state = "in memory, lost on exit" if db is None else f"kept in {db}"
    parts = {
        "REST API": platform.server_url,
        "Temporal": f"{platform.temporal_address}, namespace {platform.namespace}",
        "State": state,
    }
    if platform.ui_url is not None:
        parts["UI"] = platform.ui_url
    for name, value in parts.items():
        console.print(f"  {name:<9}", style="bold", end=" ")
        console.print(value, markup=False)
    if not platform.loopback_only:
        console.print(
            "\nExposed to the network: the REST API for anyone with this key, Temporal for anyone.",
            style="bold red",
        )
    console.print("\nWorkers, clients and commands need:\n")
    _print_exports(console, platform.environment())
    console.print("\nPress Ctrl-C to stop.")


def _print_exports(console: Console, environment: dict[str, str]) -> None:
    for name, value in environment.items():
        console.print(f"export {name}={shlex.quote(value)}", markup=False)
