"""Workers that cannot start: what they print, raise and warn of."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mistral_offload.errors import ConfigurationError, MissingExtraError
from mistral_offload.workflows import WorkerSettings, run_worker
from tests.bounds import within
from tests.servers.scripted import ScriptedServer

WORKER = """
import asyncio, sys
from mistral_offload import workflows
from mistral_offload.errors import ConfigurationError

@workflows.workflow.define(name="w")
class W:
    @workflows.workflow.entrypoint
    async def run(self) -> None: ...

def run(own_hook):
    if own_hook:
        sys.excepthook = lambda kind, error, trace: print("own hook:", kind.__name__)
    asyncio.run(workflows.run_worker([W]))
"""


def run(program: str, folder: Path, **variables: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-c", WORKER + program],
        cwd=folder,
        env={**kept, "SERVER_URL": "http://127.0.0.1:9", "MISTRAL_API_KEY": "key", **variables},
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )


def test_a_configuration_error_ends_a_worker_with_its_message(tmp_path: Path) -> None:
    finished = run("run(own_hook=False)", tmp_path, TEMPORAL_TLS="perhaps")
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert finished.stderr.startswith("ConfigurationError: the worker's environment variables are")
    assert "TEMPORAL_TLS:" in finished.stderr


def test_the_check_of_a_store_ends_a_worker_with_its_message(tmp_path: Path) -> None:
    finished = run(
        "run(own_hook=False)",
        tmp_path,
        TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__STORAGE_PROVIDER="local",
        TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__PATH="/dev/null/x",
        TEMPORAL_PAYLOAD_ENCRYPTON__MODE="full",
    )
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert "\nStorageCheckError: the worker cannot use its configured storage" in finished.stderr
    assert (
        "WARNING Variables of the environment: not a setting, so ignored: "
        "TEMPORAL_PAYLOAD_ENCRYPTON__MODE; rename to TEMPORAL_PAYLOAD_ENCRYPTION__MODE"
    ) in finished.stderr


def test_other_errors_and_hooks_of_the_program_are_left_alone(tmp_path: Path) -> None:
    finished = run("run(own_hook=True)", tmp_path, TEMPORAL_TLS="perhaps")
    assert (finished.returncode, finished.stderr) == (1, "")
    assert finished.stdout == "own hook: ConfigurationError\n"
    caught_and_others = """
try:
    run(own_hook=False)
except ConfigurationError as error:
    print("caught", type(error).__name__)
raise ConfigurationError("of the program itself")
"""
    finished = run(caught_and_others, tmp_path, TEMPORAL_TLS="perhaps")
    assert finished.stdout == "caught ConfigurationError\n"
    assert finished.stderr.startswith("Traceback")


def test_a_wrong_key_ends_a_worker_with_the_message(tmp_path: Path) -> None:
    refusal = b"HTTP/1.1 401 Unauthorized\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    with ScriptedServer(refusal) as server:
        finished = run("run(own_hook=False)", tmp_path, SERVER_URL=server.url)
    assert finished.returncode == 1
    assert "Traceback" not in finished.stderr
    assert "\nAuthenticationError: workers.whoami failed: HTTP 401" in "\n" + finished.stderr


async def test_a_caller_catches_the_typed_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "excepthook", sys.__excepthook__)
    with pytest.raises(ConfigurationError, match="at least one workflow"):
        await within(run_worker([], settings=WorkerSettings()))
    assert not issubclass(ConfigurationError, SystemExit)
    assert issubclass(MissingExtraError, ConfigurationError)
