"""Settings of commands: the worker's environment variables, or a file of them.

Commands read the same variables as workers, so that their results apply to the workers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from mistral_offload._sizes import require_size

if TYPE_CHECKING:
    from contextlib import AbstractAsyncContextManager
    from typing import TypeAlias

    from temporalio.client import Client

    from mistral_offload.environment.settings import WorkerSettings

    Connection: TypeAlias = AbstractAsyncContextManager[Client]

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        exists=True,
        dir_okay=False,
        help="File with the worker's variables, NAME=value per line; overrides the environment.",
    ),
]


WaitOption = Annotated[
    float | None,
    typer.Option(
        "--wait",
        min=0.1,
        metavar="SECONDS",
        show_default="4",
        help="Wait this long for a platform, and for Temporal, that do not respond.",
    ),
]


def parse_size_option(text: str | int) -> int:
    """Return the bytes of an option, given as a number or with a unit; at least 1.

    Raises:
        typer.BadParameter: the text is no size, or 0.
    """
    size = parse_size_or_zero_option(text)
    if size < 1:
        raise typer.BadParameter("the size must be at least 1 byte")
    return size


def parse_size_or_zero_option(text: str | int) -> int:
    """Return the bytes of an option, given as a number or with a unit; 0 is a size as well.

    Raises:
        typer.BadParameter: the text is no size.
    """
    try:
        size = require_size(str(text), "the value")
    except ValueError as error:
        raise typer.BadParameter(str(error)) from None
    if size < 0:
        raise typer.BadParameter("the size must not be negative")
    return size


def parse_megabytes_option(text: str | int) -> int:
    """Return the bytes of an option in MB: a number, which may be a fraction, or with a unit.

    Raises:
        typer.BadParameter: the text is no size, or 0.
    """
    given = str(text).strip()
    return parse_size_option(given if given[-1:].isalpha() else f"{given}MB")


def temporal_connection(settings: WorkerSettings, wait: float | None) -> Connection:
    """Connect to Temporal as `open_temporal_client` does, and wait for it as ``--wait`` says."""
    from mistral_offload.environment.temporal_client import (
        COMMAND_WAIT_SECONDS,
        open_temporal_client,
    )

    return open_temporal_client(settings, timeout_seconds=wait or COMMAND_WAIT_SECONDS)


def load_settings(config: Path | None) -> WorkerSettings:
    """Load the settings from the environment, or from a file that overrides it.

    Raises:
        ConfigurationError: variables are invalid; the message names all of them, without values.
        MissingExtraError: the extra ``worker`` is not installed.
    """
    from mistral_offload.environment.settings import FileSettings, WorkerSettings

    if config is None:
        return WorkerSettings()
    return FileSettings.read(config)
