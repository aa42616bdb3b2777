"""Runs the transcription example as on its page."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mistral_offload.devserver import LocalPlatform
from tests.servers.worker import WorkerProcess

pytestmark = pytest.mark.server  # it starts its own servers

FOLDER = Path(__file__).parents[1] / "examples" / "transcription"
PAGE = (FOLDER / "README.md").read_text()


@pytest.fixture(scope="module")
def blobs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("blobs")


@pytest.fixture(scope="module")
def platform(blobs: Path) -> Iterator[LocalPlatform]:
    exported = dict(re.findall(r"export (ACTIVITY\w+)=(\S+)", PAGE))
    variables = {name: text.replace("$BLOBS", str(blobs)) for name, text in exported.items()}
    assert len(variables) == 2
    with LocalPlatform() as platform:
        worker = WorkerProcess(platform, {}, script=FOLDER / "worker.py", environment=variables)
        yield platform
        worker.stop()


def test_the_client_prints_what_the_page_says(platform: LocalPlatform, blobs: Path) -> None:
    client = subprocess.run(
        [sys.executable, "-W", "error", "client.py"],
        env=platform.environment(),
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert client.stderr == ""
    expected = re.search(r"prints\n+```text\n(.*?)```", PAGE, re.DOTALL)
    assert expected is not None
    assert client.stdout == expected[1]
    assert len([path for path in blobs.rglob("*") if path.is_file()]) == 2
