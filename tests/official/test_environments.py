"""The official packages can be installed beside what this package needs."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.bounds import CHILD_SECONDS
from tests.official.environments import ROOT

VERSIONS = (
    "from importlib.metadata import version\n"
    "import mistral_offload.storage\n"
    "print(*(version(name) for name in {names!r}))\n"
)


def versions(python: Path, *names: str) -> list[str]:
    """Return the versions of packages, in a process that can import this package."""
    ended = subprocess.run(
        [python, "-c", VERSIONS.format(names=names)],
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    return ended.stdout.split()


@pytest.mark.timeout(600)  # the first run installs
def test_the_worker(worker_python: Path) -> None:
    workflows, temporal, boto3 = versions(
        worker_python, "mistralai-workflows", "temporalio", "boto3"
    )
    assert workflows == "3.16.0"
    assert temporal.startswith("1.29.")
    assert boto3 <= "1.34.69"


@pytest.mark.timeout(600)  # the first run installs
def test_the_client(client_python: Path) -> None:
    assert versions(client_python, "mistralai") == ["3.7.0"]
