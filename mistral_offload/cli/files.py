"""``mistral-offload files``: downloads and verifies files that workflows have stored."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)

from mistral_offload.cli.output import JsonOption, Output, sized
from mistral_offload.cli.settings import ConfigOption, load_settings

if TYPE_CHECKING:
    from mistral_offload.environment.settings import WorkerSettings
    from mistral_offload.files.file_store import FileStore
    from mistral_offload.files.progress import OnProgress, TransferProgress
    from mistral_offload.files.reference import FileDescription

files = typer.Typer(help="Download and verify files.", no_args_is_help=True)

KeyArgument = Annotated[
    str,
    typer.Argument(
        show_default=False, help="Key of the file: its blob_ref, without the store's prefix."
    ),
]


@files.command()
def get(
    key: KeyArgument,
    path: Annotated[
        Path, typer.Argument(help="Where to write it; a directory gets it under its own name.")
    ] = Path(),
    config: ConfigOption = None,
    as_json: JsonOption = False,
) -> None:
    """Download a file; each chunk is verified, and the local file appears when it is complete.

    A download to the same path that was interrupted is continued.

    Exit code 1: it cannot be read, or not be written here.
    """
    from mistral_offload.files.reference import FileReference

    output = Output(as_json)
    reference = FileReference.from_key(key)
    store = _store_of(load_settings(config))
    with _progress(output) as on_progress:
        written = store.download(reference, path, on_progress=on_progress)
    size = written.stat().st_size
    document = {"path": str(written), "size_bytes": size}
    output.show(document, lambda console: console.print(f"{written}: {sized(size)}"))


@files.command()
def verify(key: KeyArgument, config: ConfigOption = None, as_json: JsonOption = False) -> None:
    """Read all of a file, and check each chunk against its digest.

    Exit code 1: a chunk is missing or damaged; the message names it.
    """
    from mistral_offload.files.reference import FileReference
    from mistral_offload.files.verification import verify_file

    output = Output(as_json)
    stored = _store_of(load_settings(config)).open(FileReference.from_key(key))
    with _progress(output) as on_progress:
        verify_file(stored, on_progress)
    file = stored.file
    output.show(_document(file), lambda console: _print_intact(console, file))


@files.callback()
def group() -> None:
    """Download and verify files."""


def _store_of(settings: WorkerSettings) -> FileStore:
    from mistral_offload.files.configuration import configured_files

    settings.require_store()
    store = configured_files(
        settings.field_offloading,
        settings.payload_offloading,
        settings.payload_encoder().field_cipher,
    )
    assert store is not None  # noqa: S101 - one is configured
    return store


def _document(file: FileDescription) -> dict[str, object]:
    return {
        "name": file.name,
        "size_bytes": file.size,
        "sha256": file.sha256,
        "content_type": file.content_type,
    }


def _print_intact(console: Console, file: FileDescription) -> None:
    console.print(f"{file.name}: {sized(file.size)}, intact, sha256 {file.sha256}")


@contextmanager
def _progress(output: Output) -> Generator[OnProgress | None]:
    """Show the progress on stderr: a bar in a terminal, a line for each tenth in a pipe."""
    console = Console(stderr=True, highlight=False)
    if output.as_json:
        yield None
    elif not console.is_terminal:
        yield _Tenths(console).report
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn())
        with Progress(
            *columns, TransferSpeedColumn(), TimeRemainingColumn(), console=console, transient=True
        ) as bar:
            task = bar.add_task("read", total=None)
            yield lambda progress: bar.update(task, completed=progress.done, total=progress.total)


class _Tenths:
    """Prints a line whenever another tenth is done."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._shown = 0

    def report(self, progress: TransferProgress) -> None:
        total = progress.total or 1
        tenth = 10 * progress.done // total
        if tenth > self._shown:
            self._shown = tenth
            rate = progress.rate / 1e6
            self._console.print(
                f"{10 * tenth} %: {progress.done:,} of {total:,} bytes, {rate:.1f} MB/s",
                soft_wrap=True,
            )
