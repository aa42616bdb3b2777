"""The command line as a whole."""

import subprocess
import sys
from importlib.metadata import entry_points, version

import pytest

from mistral_offload.cli import main

from .command import call_command, run_command


def test_the_console_script_is_this_one() -> None:
    (script,) = entry_points(group="console_scripts", name="mistral-offload")
    assert script.load() is main


def test_version() -> None:
    ended = call_command("--version")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert ended.stdout == f"mistral-offload {version('mistral-offload')}\n"


def test_help_names_the_commands() -> None:
    ended = call_command("--help")
    assert ended.returncode == 0
    assert "dev" in ended.stdout


def test_an_unknown_command() -> None:
    ended = call_command("nonsense")
    assert ended.returncode == 2
    assert "nonsense" in ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.parametrize(
    ("package", "arguments", "extra"),
    [
        ("typer", ["--version"], "cli"),
        ("rich", ["--version"], "cli"),
        ("uvicorn", ["dev"], "dev"),
        ("temporalio", ["dev"], "dev"),
        ("temporalio", ["blobs", "gc"], "worker"),
    ],
)
def test_a_package_that_is_not_installed(package: str, arguments: list[str], extra: str) -> None:
    ended = run_command(*arguments, without=package)
    assert ended.returncode == 2
    assert ended.stdout == ""
    (line,) = ended.stderr.splitlines()
    assert f'pip install "mistral-offload[{extra}]"' in line


def test_without_the_script_on_the_path() -> None:
    command = [sys.executable, "-m", "mistral_offload.cli", "--version"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ended.stdout == f"mistral-offload {version('mistral-offload')}\n"
