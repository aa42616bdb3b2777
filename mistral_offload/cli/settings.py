"""Settings of commands: the worker's environment variables, or a file of them.

Commands read the same variables as workers, so that their results apply to the workers.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from mistral_offload.environment.settings import WorkerSettings

ConfigOption = Annotated[
    Path | None,
    typer.Option(
        "--config",
        exists=True,
        dir_okay=False,
        help="File with the worker's variables, NAME=value per line; overrides the environment.",
    ),
]


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
