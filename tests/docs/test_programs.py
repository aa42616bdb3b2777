"""Every Python block of the documentation runs: here, or in the test of its page.

Blocks run in the order of their page and share its names. Names that a page leaves to its reader
are supplied by a preamble. Stores and addresses are those of the tests; nothing else is changed.
"""

from __future__ import annotations

import ast
import asyncio
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from mistral_offload.devserver import LocalPlatform
from mistral_offload.storage import MemoryStore
from tests.bounds import PATIENCE_SECONDS
from tests.docs.pages import ROOT, pages_with_programs
from tests.servers.worker import WorkerProcess

KEY = "8f" * 16

RUN_ELSEWHERE: Mapping[str, str] = {
    "README.md": "tests/test_readme.py",
    "docs/activity-fields.md": "tests/fields/test_page.py",
    "docs/client.md": "tests/docs/test_worker_pages.py",
    "docs/events.md": "tests/docs/test_worker_pages.py",
    "docs/files.md": "tests/docs/test_worker_pages.py",
    "docs/from-the-official-sdk.md": "tests/official/test_page.py",
    "docs/getting-started.md": "tests/docs/test_getting_started.py",
    "docs/logging.md": "tests/test_logging_page.py",
    "docs/official-worker.md": "tests/official/test_page.py",
    "docs/plain-temporal.md": "tests/temporal/test_plain_page.py",
    "docs/reference/official.md": "tests/official/test_page.py",
    "docs/testing.md": "tests/testing/test_fixtures.py",
}

CONFIGURATION = "import os\nfrom mistral_offload import *\n"

PREAMBLES: Mapping[str, str] = {
    "docs/operating.md": CONFIGURATION,
    "docs/storage.md": CONFIGURATION,
    "docs/reference/settings.md": CONFIGURATION,
    "docs/reference/stores.md": """
import pytest
from mistral_offload import BlobStorageConfig
from mistral_offload.errors import StorageUnavailableError
from mistral_offload.storage import LocalStore, MemoryStore
""",
    "docs/reference/temporal.md": """
from mistral_offload import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.payload.context import PayloadContext
from mistral_offload.temporal import PayloadEncoder
storage = BlobStorageConfig(storage_provider="local", path="blobs")
""",
    "docs/reference/worker.md": """
from datetime import timedelta
from typing import Annotated
from pydantic import BaseModel
import mistral_offload.workflows as workflows
from mistral_offload.workflows import (
    OffloadableField, OffloadableFile, OffloadableModel, Restoring, activity
)

class Recording(BaseModel):
    url: str

@activity()
async def transcribe(url: str) -> str:
    return url

@activity()
async def count_words(transcript: object) -> int:
    return 3

@activity()
async def validate_email(email: str) -> bool:
    return "@" in email

@workflows.workflow.define(name="transcription")
class Transcription:
    @workflows.workflow.entrypoint
    async def run(self, url: str) -> int:
        return await count_words(await transcribe(url))

url = audio = "tape"
email = "jack@overlook.example"
recording = Recording(url=url)
""",
}
"""Names that blocks use and their pages do not define."""

LOCAL = sorted(PREAMBLES)
ON_PLATFORM = ("docs/doctor.md", "docs/encryption.md", "docs/reference/client.md")

PROGRAMS = pages_with_programs()

IN_A_WORKFLOW = re.compile(r"await workflows\.|workflows\.task|run_activities_locally")
"""Found in blocks that only a workflow can run."""

WORKER = """
import asyncio
from typing import Any
{preamble}

@workflows.workflow.define(name="ocr")
class Ocr:
    @workflows.workflow.entrypoint
    async def run(self, pages: Any) -> str:
        return "text" * 1_000

@workflows.workflow.define(name="pay")
class Pay:
    @workflows.workflow.entrypoint
    async def run(self, amount: int, iban: dict[str, Any]) -> int:
        return amount

@workflows.workflow.define(name="examples")
class Examples:
    @workflows.workflow.entrypoint
    async def run(self) -> int:
{blocks}
        return words + valid

if __name__ == "__main__":
    asyncio.run(workflows.run_worker([Ocr, Pay, Transcription, Examples]))
"""
"""The worker that the programs call: workflows of the names they use, and one that runs blocks."""


class Interpreter:
    """Runs the blocks of a page, in which ``await`` may stand outside of functions."""

    def __init__(self, names: dict[str, Any]) -> None:
        self.names = names
        self._loop = asyncio.new_event_loop()

    def run(self, program: str, name: str) -> None:
        # One statement after the other: a blocking call must not run inside of an event loop.
        for statement in ast.parse(program, name).body:
            module = ast.Module([statement], [])
            flags = ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
            code = compile(module, name, "exec", flags, dont_inherit=True)
            result = eval(code, self.names)
            if inspect.iscoroutine(result):
                self._loop.run_until_complete(asyncio.wait_for(result, PATIENCE_SECONDS))

    def close(self) -> None:
        self._loop.close()


@pytest.fixture
def interpreter() -> Iterator[Callable[[dict[str, Any]], Interpreter]]:
    made: list[Interpreter] = []

    def make(names: dict[str, Any]) -> Interpreter:
        made.append(Interpreter({"__name__": "page", **names}))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_every_page_with_programs_has_a_test() -> None:
    assert {*RUN_ELSEWHERE, *LOCAL, *ON_PLATFORM} == set(PROGRAMS)
    for page, test in RUN_ELSEWHERE.items():
        assert Path(page).name in (ROOT / test).read_text()


@pytest.mark.parametrize("page", LOCAL)
def test_programs_without_a_server(
    page: str,
    interpreter: Callable[[dict[str, Any]], Interpreter],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PAYLOAD_KEY", KEY)
    monkeypatch.chdir(tmp_path)
    store = MemoryStore()
    python = interpreter({"open_store": lambda config: store})
    python.run(PREAMBLES[page], "preamble")
    supplied = dict(python.names)
    for number, program in enumerate(PROGRAMS[page]):
        # An earlier example may have given one of these names to an outline.
        python.names.update(supplied)
        if not IN_A_WORKFLOW.search(program):
            python.run(program, f"{page} {number}")


@pytest.fixture(scope="module")
def worker(
    local_platform: LocalPlatform, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    folder = tmp_path_factory.mktemp("pages")
    page = "docs/reference/worker.md"
    blocks = [program for program in PROGRAMS[page] if IN_A_WORKFLOW.search(program)]
    assert len(blocks) > 2
    body = textwrap.indent("\n".join(blocks), " " * 8)
    script = folder / "worker.py"
    script.write_text(WORKER.format(preamble=PREAMBLES[page], blocks=body))
    worker = WorkerProcess(
        local_platform,
        {"storage_provider": "local", "path": str(folder / "blobs")},
        script=script,
        environment={
            "TEMPORAL_PAYLOAD_ENCRYPTION__MODE": "partial",
            "TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KEY": KEY,
        },
    )
    yield worker
    worker.stop()


def test_programs_for_a_platform(
    local_platform: LocalPlatform,
    worker: WorkerProcess,
    interpreter: Callable[[dict[str, Any]], Interpreter],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, value in local_platform.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("PAYLOAD_KEY", KEY)
    address = f"Mistral(server_url={local_platform.server_url!r}, "
    storage = "BlobStorageConfig(storage_provider='local', path={path!r})".format(**worker.storage)
    preamble = (
        f"{CONFIGURATION}offloading = PayloadOffloadingConfig(storage_config={storage})\n"
        f"KEY = {KEY!r}\n"
        "pages = ['word ' * 100] * 10_000\n"
        f"client = {address}workflow_payload_offloading=offloading)\n"
    )
    printed: dict[str, str] = {}
    for page in ON_PLATFORM:
        python = interpreter({})
        python.run(preamble, "preamble")
        for number, program in enumerate(PROGRAMS[page]):
            # The blocks after the one with a "with" use a client that is still open.
            ours = python.names["client"]
            python.run(re.sub(r"\bMistral\(\s*", address, program), f"{page} {number}")
            if "with Mistral(" in program:
                python.names["client"] = ours
        printed[page] = capsys.readouterr().out
        if page == "docs/reference/client.md":
            run = 'result = client.workflows.execute_workflow_and_wait("examples", {})'
            python.run(run, "the blocks in a workflow")
            assert python.names["result"] == {"result": 3 + True}
        python.run("await client.close_async()", "end")
    assert printed["docs/doctor.md"] == ""  # nothing failed
    assert "text" * 1_000 in printed["docs/reference/client.md"]
