"""Runs the examples as a user does: as scripts, with the environment of their pages."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mistral_offload.devserver import LocalPlatform
from tests.servers.worker import WorkerProcess

pytestmark = pytest.mark.server  # it starts its own servers

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """The variables to export, for a running platform and example worker."""
    blobs = str(tmp_path_factory.mktemp("blobs"))
    with LocalPlatform() as platform:
        worker = WorkerProcess(platform, {"storage_provider": "local", "path": blobs})
        writer = WorkerProcess(platform, {}, script=EXAMPLES / "progress" / "worker.py")
        yield {**platform.environment(), "BLOBS": blobs}
        writer.stop()
        worker.stop()


def run(
    command: list[str], environment: dict[str, str], folder: Path, seconds: float = 50.0
) -> str:
    finished = subprocess.run(
        command,
        env={**os.environ, **environment},
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    assert finished.stderr == ""
    return finished.stdout


def expected_output(folder: Path) -> str:
    """Return the block below "prints" on the page of an example."""
    match = re.search(
        r"prints(?:, as the words come,)?\n+```text\n(.*?)```",
        (folder / "README.md").read_text(),
        re.DOTALL,
    )
    assert match is not None
    return match[1]


@pytest.mark.parametrize("name", ["client_sync", "client_async", "progress"])
def test_client_prints_what_its_page_says(name: str, environment: dict[str, str]) -> None:
    folder = EXAMPLES / name
    printed = run([sys.executable, "client.py"], environment, folder)
    assert printed == expected_output(folder)


@pytest.mark.timeout(240)  # starts every server and a worker
def test_demo_prints_its_table_and_ends_well() -> None:
    printed = run([sys.executable, "-m", "examples.demo"], {}, EXAMPLES.parent, 200.0)
    assert re.search(r"result digest verified\s*│\s*yes\s*│\s*yes", printed)
    assert "4 get, 6 put" in printed
    assert "PayloadTooLargeError" in printed


@pytest.mark.parametrize("turn", range(3))
def test_scripts_end_cleanly(environment: dict[str, str], turn: int) -> None:
    """An interpreter that exits right after using Temporal's core must not crash."""
    script = (
        "import mistral_offload.workflows, mistral_offload.devserver as d\n"
        "with d.LocalPlatform(): pass\n"
        "print('done')"
    )
    assert run([sys.executable, "-c", script], {}, EXAMPLES) == "done\n"


def test_every_example_has_a_page() -> None:
    folders = [path for path in EXAMPLES.iterdir() if path.is_dir() and path.name[0] not in "._"]
    assert {folder.name for folder in folders} >= {"worker", "client_sync", "client_async"}
    for folder in folders:
        page = (folder / "README.md").read_text()
        assert page.startswith("# ")
