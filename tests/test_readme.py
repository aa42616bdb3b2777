"""Runs the programs of the README unchanged, except for the storage and the URL."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mistral_offload.devserver import LocalPlatform
from tests.servers.worker import WorkerProcess

pytestmark = pytest.mark.server  # it starts its own servers

README = Path(__file__).parents[1] / "README.md"
STORAGE = 'BlobStorageConfig(bucket_name="my-payloads", region_name="eu-west-3")'


def programs() -> list[str]:
    return re.findall(r"```python\n(.*?)```", README.read_text(), re.DOTALL)


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


@pytest.fixture(scope="module")
def platform() -> Iterator[LocalPlatform]:
    """A separate platform, because another worker may know a workflow of the same name."""
    with LocalPlatform() as platform:
        yield platform


@pytest.fixture(scope="module")
def worker(
    platform: LocalPlatform, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    folder = tmp_path_factory.mktemp("readme")
    script = folder / "worker.py"
    script.write_text(programs()[2])
    storage = {"storage_provider": "local", "path": str(folder / "blobs")}
    worker = WorkerProcess(platform, storage, script=script)
    yield worker
    worker.stop()


def test_the_field_is_a_model() -> None:
    names: dict[str, Any] = {"__name__": "readme"}
    exec(compile(programs()[3], "README", "exec", dont_inherit=True), names)
    assert names["Recording"](audio_id="tape").transcript.get_value() == ""
    assert len(programs()) == 4


@pytest.mark.parametrize(
    ("number", "printed"),
    [
        (0, "500000 pages\nstarted "),
        (1, "['Part 1', 'Part 2', 'Part 3']\n"),
    ],
)
def test_client(number: int, printed: str, platform: LocalPlatform, worker: WorkerProcess) -> None:
    local = f"BlobStorageConfig(storage_provider='local', path={worker.storage['path']!r})"
    program = replaced(programs()[number], STORAGE, local)
    address = f"api_key={platform.api_key!r}, server_url={platform.server_url!r}"
    program = replaced(program, 'api_key="your_api_key"', address)
    finished = subprocess.run(
        [sys.executable, "-W", "error", "-c", program],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert finished.stderr == ""
    assert finished.returncode == 0
    assert finished.stdout.startswith(printed)
