"""The console script, in its own process or in this one."""

import contextlib
import io
import os
import re
import subprocess
import sys
from collections.abc import Mapping, Sequence
from unittest.mock import patch

from typing_extensions import Self

from mistral_offload.cli import main
from tests.bounds import PATIENCE_SECONDS, kill, output_of, read_line, start

BLOCK = "import sys; sys.modules[{module!r}] = None; from mistral_offload.cli import main; main()"


def run_command(*arguments: str, without: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a command to its end; ``without`` simulates that a package is not installed."""
    return subprocess.run(
        command_line(*arguments, without=without),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def call_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in this process, which is faster; nothing else may print meanwhile."""
    out, err, code = io.StringIO(), io.StringIO(), 0
    line = ["mistral-offload", *arguments]
    with (
        patch.object(sys, "argv", line),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as ended:
            code = int(ended.code or 0)
    return subprocess.CompletedProcess(line, code, out.getvalue(), err.getvalue())


def command_line(*arguments: str, without: str | None = None) -> list[str]:
    """Return the command line of a command in its own process."""
    code = BLOCK.format(module=without) if without else BLOCK.format(module="not.a.module")
    return [sys.executable, "-c", code, *arguments]


class Dev:
    """A running ``mistral-offload dev``, after it has printed its announcement."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.process = start(
            [sys.executable, "-c", BLOCK.format(module="not.a.module"), "dev", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "40", **(environment or {})},
        )
        self.steps: list[str] = []
        self.announcement = self._read_announcement()
        exports = re.findall(r"^export (\w+)=(\S+)$", self.announcement, re.MULTILINE)
        self.environment = dict(exports)
        self.ui_url = _after("UI  ", self.announcement) if "  UI  " in self.announcement else ""
        self.temporal_address = _after("Temporal  ", self.announcement).rstrip(",")

    @property
    def server_url(self) -> str:
        """Base URL of the REST API."""
        return self.environment["SERVER_URL"]

    @property
    def api_key(self) -> str:
        """An API key that it accepts."""
        return self.environment["MISTRAL_API_KEY"]

    def end(self, number: int) -> tuple[int, str, str]:
        """Send a signal; return exit code, the rest of stdout, and stderr without the steps."""
        self.process.send_signal(number)
        out, err = output_of(self.process)
        self.steps, rest = split_steps(err)
        return self.process.returncode, out, rest

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        kill(self.process)

    def _read_announcement(self) -> str:
        said: Sequence[str] = []
        while line := read_line(self.process):
            said = [*said, line]
            if "Ctrl-C" in line:
                return "".join(said)
        _, err = output_of(self.process)
        raise AssertionError(f"it has ended: {said} {err}")


def split_steps(err: str) -> tuple[list[str], str]:
    """Split the stderr of ``dev`` into the steps of its start, without times, and the rest."""
    steps = re.findall(r"^ *[0-9.]+ s  (.+)\n", err, re.MULTILINE)
    return steps, re.sub(r"(?m)^ *[0-9.]+ s  .+\n", "", err)


def _after(mark: str, text: str) -> str:
    return text.partition(mark)[2].split()[0]
