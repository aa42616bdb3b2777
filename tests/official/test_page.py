"""docs/from-the-official-sdk.md: its programs run as printed, and its names exist in both SDKs.

The programs of docs/official-worker.md and docs/reference/official.md run here, too.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mistral_offload.devserver import LocalPlatform
from tests.bounds import CHILD_SECONDS
from tests.docs.pages import DOCS, ROOT, blocks
from tests.servers.seaweed import Seaweed
from tests.servers.worker import WorkerProcess

PAGE = (Path(__file__).parents[2] / "docs" / "from-the-official-sdk.md").read_text()
STORAGE = 'BlobStorageConfig(bucket_name="my-payloads", region_name="eu-west-3")'

RESOLVE = """
import importlib, json, sys

def exists(name):
    parts = name.split(".")
    for number in range(len(parts), 0, -1):
        try:
            found = importlib.import_module(".".join(parts[:number]))
        except ModuleNotFoundError:
            continue
        for part in parts[number:]:
            found = getattr(found, part, None)
        return found is not None
    return False

print(json.dumps([name for name in json.loads(sys.argv[1]) if not exists(name)]))
"""

IN_TURN = """
import sys
for program in sys.argv[1:]:
    exec(program, {"__name__": "__main__"})
"""

WORKER, CLIENT, RUNS = re.findall(r"^```python\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE)


def rows() -> list[tuple[str, list[str], str]]:
    """Return module, names and module here of every row of the table of imports."""
    section = PAGE.partition("### Imports\n")[2].partition("\nThese have")[0]
    found: list[tuple[str, list[str], str]] = []
    for official, names, here in re.findall(
        r"^\| `([\w.]+)` \| (.*) \| `([\w.]+)` \|$", section, re.MULTILINE
    ):
        listed = re.findall(r"`(\w+)`", names) or found[-1][1]
        found.append((official, listed, here))
    return found


def test_every_import_of_the_table() -> None:
    table = rows()
    assert len(table) == 8
    for official, names, here in table:
        assert here == re.sub(r"^mistralai", "mistral_offload", official)
        module: Any = importlib.import_module(here)
        for name in names:
            assert hasattr(module, name), f"{here}.{name}"


def test_the_names_that_replace_others() -> None:
    names = re.findall(r"`(mistral_offload[\w.]+)`", PAGE)
    assert len(names) > 10
    for name in names:
        module, _, member = name.rpartition(".")
        found: Any = importlib.import_module(module)
        assert hasattr(found, member) or importlib.import_module(name), name


@pytest.mark.server  # it may install packages
@pytest.mark.timeout(600)  # the first run installs
def test_every_official_name_exists(worker_python: Path, client_python: Path) -> None:
    names = [f"{official}.{name}" for official, listed, _ in rows() for name in listed]
    names += [
        name
        for name in re.findall(r"`(mistralai\.[\w.]+)`", PAGE)
        if not name.startswith("mistralai.workflows.plugins.")  # another distribution
    ]
    names += ["mistralai.workflows.workflow.add_search_keys"]
    names += [
        f"mistralai.workflows.{name}"
        for row in re.findall(r"^\| [\w ,]+ \| (`.*?`) \|", section("Not in our worker"), re.M)
        for name in re.findall(r"`([A-Za-z_]+)`", row)
    ]
    assert len(names) > 50
    absent = set(names)
    for python in (worker_python, client_python):
        ended = subprocess.run(
            [python, "-c", RESOLVE, json.dumps(names)],
            capture_output=True,
            text=True,
            timeout=CHILD_SECONDS,
        )
        assert ended.returncode == 0, ended.stderr
        absent &= set(json.loads(ended.stdout.splitlines()[-1]))
    assert absent == set()


def section(title: str) -> str:
    return PAGE.partition(f"### {title}\n")[2].partition("\n## ")[0]


@pytest.fixture(scope="module")
def storage(seaweed: Seaweed) -> dict[str, str]:
    return {
        "storage_provider": "s3",
        "bucket_name": seaweed.make_bucket(),
        "endpoint_url": seaweed.endpoint_url,
        "region_name": seaweed.region_name,
        "aws_access_key_id": seaweed.access_key,
        "aws_secret_access_key": seaweed.secret_key,
    }


@pytest.fixture(params=["their worker", "our worker"])
def worker(
    request: pytest.FixtureRequest,
    local_platform: LocalPlatform,
    storage: dict[str, str],
    tmp_path: Path,
    worker_python: Path,
) -> Iterator[WorkerProcess]:
    theirs = request.param == "their worker"
    script = tmp_path / "worker.py"
    script.write_text(WORKER if theirs else replaced(WORKER, "mistralai", "mistral_offload"))
    python = worker_python if theirs else sys.executable
    worker = WorkerProcess(
        local_platform, storage, script=script, python=python, timeout=CHILD_SECONDS
    )
    yield worker
    worker.stop()


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


@pytest.mark.timeout(600)  # the first run installs
def test_the_programs(local_platform: LocalPlatform, worker: WorkerProcess) -> None:
    def addressed(program: str) -> str:
        program = replaced(
            program, 'deployment_name="words"', f"deployment_name={worker.deployment!r}"
        )
        address = f"api_key={local_platform.api_key!r}, server_url={local_platform.server_url!r}"
        return replaced(program, 'api_key="your_api_key"', address)

    storage = ", ".join(f"{name}={value!r}" for name, value in worker.storage.items())
    client = replaced(CLIENT, STORAGE, f"BlobStorageConfig({storage})")
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", IN_TURN, addressed(client), addressed(RUNS)],
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS,
        env={**os.environ},
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "{'result': 1000000}\n[]\n"


@pytest.mark.timeout(600)  # the first run installs
def test_the_programs_that_configure_an_official_client(
    client_python: Path, local_platform: LocalPlatform
) -> None:
    (on_page,) = blocks(DOCS / "official-worker.md")
    (in_reference,) = blocks(DOCS / "reference" / "official.md", "py")
    program = f"""
import mistralai.client
from mistralai.extra.workflows.encoding import BlobStorageConfig, PayloadOffloadingConfig
{on_page}
api_key = "your_api_key"
storage = BlobStorageConfig(storage_provider="s3", bucket_name="my-payloads")
offloading = PayloadOffloadingConfig(storage_config=storage)
{in_reference}
print(type(client).__module__.partition(".")[0])
"""
    # They request their namespace.
    program = program.replace("Mistral(", f"Mistral(server_url={local_platform.server_url!r}, ")
    ended = subprocess.run(
        [client_python, "-c", program.replace("your_api_key", local_platform.api_key)],
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout == "mistralai\n"
