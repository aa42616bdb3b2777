"""The command-line app: registers the commands, each from its own module."""

from __future__ import annotations

import inspect
import re
from typing import Annotated

import typer
from rich.console import Console

from mistral_offload._version import __version__
from mistral_offload.cli.blobs import blobs
from mistral_offload.cli.codec_server import codec_server
from mistral_offload.cli.dev import dev
from mistral_offload.cli.doctor import doctor
from mistral_offload.cli.files import files
from mistral_offload.cli.inspect import inspect as inspect_command
from mistral_offload.cli.keys import keys
from mistral_offload.cli.lifecycle import lifecycle
from mistral_offload.cli.worker import worker

app = typer.Typer(
    name="mistral-offload",
    help="Data of any size through Mistral Workflows.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
)
app.command()(codec_server)
app.command()(dev)
app.command()(doctor)
app.command("inspect")(inspect_command)
app.command()(worker)
app.add_typer(blobs, name="blobs")
app.add_typer(files, name="files")
app.add_typer(keys, name="keys")
app.add_typer(lifecycle, name="lifecycle")


def _show_version(requested: bool) -> None:
    if requested:
        Console(highlight=False).print(f"mistral-offload {__version__}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[
        bool,
        typer.Option(
            "--version", callback=_show_version, is_eager=True, help="Show the version and exit."
        ),
    ] = False,
) -> None:
    """Data of any size through Mistral Workflows."""


def _unfold_help(group: typer.Typer) -> None:
    """Join the lines of help texts, which are then folded at the width of the terminal."""
    for command in group.registered_commands:
        text = inspect.getdoc(command.callback) or ""
        command.help = re.sub(r"(?<!\n)\n(?!\n)", " ", text)
    for child in group.registered_groups:
        if child.typer_instance is not None:
            _unfold_help(child.typer_instance)


_unfold_help(app)
