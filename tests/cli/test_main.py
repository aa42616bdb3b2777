"""The command line as a whole."""

import os
import subprocess
import sys
from importlib.metadata import entry_points, version
from pathlib import Path
from unittest.mock import patch

import pytest
import typer

from mistral_offload.cli import main
from mistral_offload.cli.app import app
from mistral_offload.cli.settings import (
    parse_megabytes_option,
    parse_size_option,
    parse_size_or_zero_option,
)

from .command import call_command, run_command, split_steps


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
    assert "--install-completion" in ended.stdout


def test_shells_complete_commands() -> None:
    shell = {"_MISTRAL_OFFLOAD_COMPLETE": "complete_bash", "COMP_CWORD": "1"}
    with patch.dict(os.environ, {**shell, "COMP_WORDS": "mistral-offload ins"}):
        assert call_command().stdout.split() == ["inspect"]


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
    _, problem = split_steps(ended.stderr)
    (line,) = problem.splitlines()
    assert f'pip install "mistral-offload[{extra}]"' in line


def test_without_the_script_on_the_path() -> None:
    command = [sys.executable, "-m", "mistral_offload.cli", "--version"]
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert ended.stdout == f"mistral-offload {version('mistral-offload')}\n"


@pytest.mark.parametrize("size", ["0", "0MB", "-1", "big", "1.5B", "1XB", ""])
def test_an_option_that_is_no_size(size: str) -> None:
    with pytest.raises(typer.BadParameter, match="size"):
        parse_size_option(size)


def test_an_option_that_may_be_zero() -> None:
    assert [parse_size_or_zero_option(text) for text in ("0", "1kB", 5)] == [0, 1000, 5]
    for text in ("-1", "big"):
        with pytest.raises(typer.BadParameter, match="size"):
            parse_size_or_zero_option(text)


@pytest.mark.parametrize(
    ("text", "size"), [("8000000", 8_000_000), ("8MB", 8_000_000), ("1 MiB", 2**20), (7, 7)]
)
def test_an_option_that_is_a_size(text: str | int, size: int) -> None:
    assert parse_size_option(text) == size


@pytest.mark.parametrize(
    ("text", "size"),
    [("256", 256_000_000), ("0.5", 500_000), ("1.5MB", 1_500_000), ("64MiB", 2**26), (1, 10**6)],
)
def test_an_option_in_megabytes(text: str | int, size: int) -> None:
    assert parse_megabytes_option(text) == size


def test_the_defaults_of_options_in_megabytes() -> None:
    for command, default in (("inspect", 10**9), ("codec-server", 256 * 10**6)):
        found = typer.main.get_command(app).commands[command]  # type: ignore[attr-defined]
        with found.make_context(command, ["ref"] if command == "inspect" else []) as context:
            assert context.params["largest_bytes"] == default


def test_sizes_of_commands_have_units(tmp_path: Path) -> None:
    settings = tmp_path / "worker.env"
    settings.write_text("TEMPORAL_PAYLOAD_OFFLOADING__MIN_SIZE_BYTES=1XB\n")
    for command in (("doctor", "--size"), ("inspect", "key", "--limit")):
        refused = run_command(*command, "1XB")
        assert refused.returncode == 2
        assert "1.5MB" in refused.stderr
        assert "Traceback" not in refused.stderr
        accepted = run_command(*command, "1.5MB", "--config", str(settings))
        assert accepted.returncode == 2
        assert "MIN_SIZE_BYTES" in accepted.stdout + accepted.stderr
