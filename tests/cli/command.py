"""The console script in a process of its own."""

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
    """Run it to its end; ``without`` one package, as if that were not installed."""
    return subprocess.run(
        command_line(*arguments, without=without),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def call_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """The same in this process, which is quicker; nobody else may print meanwhile."""
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
    """The command as a process of its own."""
    code = BLOCK.format(module=without) if without else BLOCK.format(module="not.a.module")
    return [sys.executable, "-c", code, *arguments]


class Dev:
    """``mistral-offload dev``, until it has said everything it says at the start."""

    def __init__(self, *arguments: str, environment: Mapping[str, str] | None = None) -> None:
        self.process = start(
            [sys.executable, "-c", BLOCK.format(module="not.a.module"), "dev", *arguments],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, "COLUMNS": "40", **(environment or {})},
        )
        self.said = self._said_at_start()
        exports = re.findall(r"^export (\w+)=(\S+)$", self.said, re.MULTILINE)
        self.environment = dict(exports)
        self.ui_url = _after("UI  ", self.said) if "  UI  " in self.said else ""
        self.temporal_address = _after("Temporal  ", self.said).rstrip(",")

    @property
    def server_url(self) -> str:
        """Where the REST API is."""
        return self.environment["SERVER_URL"]

    @property
    def api_key(self) -> str:
        """A key it accepts."""
        return self.environment["MISTRAL_API_KEY"]

    def end(self, number: int) -> tuple[int, str, str]:
        """Send a signal; exit code, the rest of stdout, and stderr."""
        self.process.send_signal(number)
        out, err = output_of(self.process)
        return self.process.returncode, out, err

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        kill(self.process)

    def _said_at_start(self) -> str:
        said: Sequence[str] = []
        while line := read_line(self.process):
            said = [*said, line]
            if "Ctrl-C" in line:
                return "".join(said)
        _, err = output_of(self.process)
        raise AssertionError(f"it has ended: {said} {err}")


def _after(mark: str, text: str) -> str:
    return text.partition(mark)[2].split()[0]
