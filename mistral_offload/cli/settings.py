"""Where a command takes its settings from: the worker's variables, or a file of them.

Commands read what workers read, so that what they say holds for the worker beside them.
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
        help="A file of the worker's variables, NAME=value a line; it wins over the environment.",
    ),
]


def load_settings(config: Path | None) -> WorkerSettings:
    """The settings of the environment, or of a file and then the environment.

    Raises:
        ConfigurationError: variables are wrong; every one is named, and no value is shown.
        MissingExtraError: the extra ``worker`` is not installed.
    """
    from mistral_offload.environment.settings import FileSettings, WorkerSettings

    if config is None:
        return WorkerSettings()
    return FileSettings.read(config)
