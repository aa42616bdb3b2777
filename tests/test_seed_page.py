"""Runs the user's own page unchanged, except for the name of the package.

The page leaves some names to its reader: functions that fetch and transcribe audio, the second
activity and its models, and the workflow that the client starts. They are supplied here. The two
connection strings, written ``"..."``, are filled in. Nothing else is changed.
"""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mistral_offload.api import connection
from mistral_offload.config import StorageProvider
from mistral_offload.devserver import LocalPlatform
from mistral_offload.limits import DEFAULT_PAYLOAD_MIN_SIZE_BYTES, MIB
from mistral_offload.workflows import WorkerSettings
from tests.bounds import PATIENCE_SECONDS
from tests.servers.azurite import Azurite
from tests.servers.process import ServerProcess
from tests.servers.temporal_reader import TemporalReader

pytestmark = pytest.mark.server  # it starts its own servers

PAGE = (Path(__file__).parent / "seed" / "SEED.txt").read_text()

MODELS = """
import hashlib

from pydantic import BaseModel

from mistral_offload.workflows import OffloadableField, OffloadableModel


def fetch_audio(audio_id: str) -> bytes:
    return audio_id.encode()


async def whisper(audio: bytes) -> str:
    return f"What {audio.decode()} says, été. " * 200_000


class SummaryInput(OffloadableModel):
    transcript: OffloadableField[str]


class Summary(BaseModel):
    text: str
"""
SUMMARIZE = """
@workflows.activity()
async def summarize(payload: SummaryInput) -> Summary:
    return Summary(text=hashlib.sha256(payload.transcript.get_value().encode()).hexdigest())
"""
REST = """
@workflows.activity()
async def analyze(seconds: int) -> Payload:
    return Payload(
        large=OffloadableField(
            value=LargeContext(
                transcript="word " * 500_000,
                speaker_diarization=[{"speaker": n % 3, "at": n} for n in range(seconds)],
                audio_features={f"band-{n}": n / 7 for n in range(1000)},
            )
        )
    )


@workflows.activity()
def measure(payload: Payload) -> list[int]:
    large = payload.large.get_value()
    return [len(large.transcript), len(large.speaker_diarization), len(large.audio_features)]


@workflows.workflow.define(name="analyze-and-measure")
class AnalyzeWorkflow:
    @workflows.workflow.entrypoint
    async def run(self, seconds: int) -> list[int]:
        return await measure(await analyze(seconds))


@workflows.workflow.define(name="my-workflow")
class MyWorkflow:
    @workflows.workflow.entrypoint
    async def run(self, large_data: str) -> str:
        return large_data[::-1]


if __name__ == "__main__":
    import asyncio

    asyncio.run(workflows.run_worker([TranscribeWorkflow, AnalyzeWorkflow, MyWorkflow]))
"""


def sections() -> list[str]:
    """Split the page into sections; every heading appears twice."""
    lines = PAGE.splitlines()
    found: list[list[str]] = [[]]
    for number, line in enumerate(lines):
        if line and [line, "", line] == lines[number : number + 3]:
            found.append([])
        found[-1].append(line)
    return ["\n".join(section) + "\n" for section in found]


def python_blocks() -> list[str]:
    """Return the Python of each section, from the first import to the end."""
    blocks = [
        match[0]
        for section in sections()
        if (match := re.search(r"^(?:from|import) .*\Z", section, re.DOTALL | re.MULTILINE))
    ]
    return [re.sub(r"\bmistralai\b", "mistral_offload", block) for block in blocks]


def env_blocks() -> list[str]:
    found = re.findall(r"(?:^[A-Z_]+=.*\n)+", PAGE, re.MULTILINE)
    assert len(found) == 2
    return found


def filled_in(text: str, connection_string: str) -> str:
    filled, count = re.subn(
        r'(azure_connection_string=)"\.\.\."',
        lambda match: f'{match[1]}"{connection_string}"',
        text,
        flags=re.IGNORECASE,
    )
    assert count == 1
    return filled


MODEL, TRANSCRIBE, WORKFLOW, LARGE_CONTEXT, CLIENT = python_blocks()


@pytest.fixture(scope="module")
def platform() -> Iterator[LocalPlatform]:
    (key,) = re.findall(r'api_key="(.+?)"', CLIENT)
    with LocalPlatform(api_key=key) as platform:
        yield platform


@pytest.fixture(scope="module")
def containers(azurite: Azurite) -> Azurite:
    with azurite.client() as client:
        for name in ("my-workflow-payloads", "workflow-payloads"):
            client.create_container(name)
    return azurite


@pytest.fixture(scope="module")
def worker(
    platform: LocalPlatform, containers: Azurite, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ServerProcess]:
    """Run the page's Python as one program, with the page's variables exported by a shell."""
    folder = tmp_path_factory.mktemp("seed")
    parts = [MODEL, MODELS, TRANSCRIBE, SUMMARIZE, WORKFLOW, LARGE_CONTEXT, REST]
    (folder / "worker.py").write_text("\n".join(parts))
    secret = containers.connection_string()
    (folder / "page.env").write_text("".join(filled_in(b, secret) for b in env_blocks()))
    headers = {"authorization": f"Bearer {platform.api_key}"}

    def registered() -> bool:
        answer = httpx.get(f"{platform.server_url}/v1/workflows", headers=headers)
        return len(answer.json()["workflows"]) == 3

    process = ServerProcess(
        ["bash", "-c", 'set -a; . ./page.env; exec "$0" worker.py', sys.executable],
        ready=registered,
        environment={**platform.environment(), "DEPLOYMENT_NAME": "seed"},
        directory=folder,
    )
    yield process
    process.stop(grace=15)


@pytest.fixture
def page_client(
    worker: ServerProcess,
    platform: LocalPlatform,
    containers: Azurite,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[dict[str, Any]]:
    """Run the client snippet against the local platform."""
    monkeypatch.setitem(connection.SERVERS, "global", platform.server_url)
    names: dict[str, Any] = {}
    exec(filled_in(CLIENT, containers.connection_string()), names)
    yield names
    names["client"].close()


def blobs(azurite: Azurite, container: str) -> dict[str, int]:
    with azurite.client() as client:
        listed = client.get_container_client(container).list_blobs()
        return {blob.name: blob.size for blob in listed}


def test_the_client_snippet(page_client: dict[str, Any], containers: Azurite) -> None:
    client, execution = page_client["client"], page_client["execution"]
    ended = client.workflows.wait_for_workflow_completion(
        execution.execution_id, timeout_seconds=PATIENCE_SECONDS
    )
    assert ended.result == {"result": "..."}
    assert blobs(containers, "workflow-payloads") == {}
    large = "".join(str(number) for number in range(500_000))
    result = client.workflows.execute_workflow_and_wait(
        "my-workflow", input={"large_data": large}, timeout_seconds=PATIENCE_SECONDS
    )
    assert result == {"result": large[::-1]}
    stored = blobs(containers, "workflow-payloads")
    assert len(stored) == 2
    assert all(key.startswith("temporal-payload/") for key in stored)


def test_two_activities(
    page_client: dict[str, Any], containers: Azurite, platform: LocalPlatform
) -> None:
    client = page_client["client"]
    before = blobs(containers, "my-workflow-payloads")
    execution = client.workflows.execute_workflow(
        workflow_identifier="transcribe-and-summarize", input={"audio_id": "tape-7"}
    )
    ended = client.workflows.wait_for_workflow_completion(
        execution.execution_id, timeout_seconds=PATIENCE_SECONDS
    )
    text = "What tape-7 says, été. " * 200_000
    assert ended.result == {"result": hashlib.sha256(text.encode()).hexdigest()}
    stored = blobs(containers, "my-workflow-payloads")
    (key,) = stored.keys() - before.keys()
    assert key.startswith("temporal-activity-payload/")
    assert stored[key] == len(text.encode()) + 2
    assert TemporalReader(platform).history_bytes(execution.execution_id) < 20_000


def test_grouped_fields(page_client: dict[str, Any], containers: Azurite) -> None:
    before = blobs(containers, "my-workflow-payloads")
    result = page_client["client"].workflows.execute_workflow_and_wait(
        workflow_identifier="analyze-and-measure",
        input={"seconds": 10_000},
        timeout_seconds=PATIENCE_SECONDS,
    )
    assert result == {"result": [2_500_000, 10_000, 1000]}
    assert len(blobs(containers, "my-workflow-payloads").keys() - before.keys()) == 1


def test_the_variables_as_a_dotenv_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / ".env").write_text("".join(filled_in(b, "A=b;C=d;") for b in env_blocks()))
    settings = WorkerSettings()
    fields, payloads = settings.field_offloading, settings.payload_offloading
    assert fields is not None
    assert payloads is not None
    assert (fields.min_size_bytes, payloads.min_size_bytes) == (
        MIB,
        DEFAULT_PAYLOAD_MIN_SIZE_BYTES,
    )
    for storage, name in (
        (fields.storage_config, "my-workflow-payloads"),
        (payloads.storage_config, "workflow-payloads"),
    ):
        assert storage.storage_provider is StorageProvider.AZURE
        assert storage.container_name == name
        assert storage.azure_connection_string is not None
        assert storage.azure_connection_string.get_secret_value() == "A=b;C=d;"


def test_the_worker_tells_what_is_on_and_no_secret(
    worker: ServerProcess, containers: Azurite
) -> None:
    log = worker.log()
    assert "activity fields: from 1,048,576 bytes on, to azure 'my-workflow-payloads'" in log
    assert "to azure 'workflow-payloads'" in log
    assert containers.account_key not in log


def test_the_page_is_read_whole() -> None:
    blocks = python_blocks()
    assert len(blocks) == 5
    assert sum(block.count("\n") for block in blocks) > 60
    assert "mistralai" not in "".join(blocks)
    imports = re.findall(r"^\s*(?:from|import) mistralai\S*", PAGE, re.MULTILINE)
    assert len(imports) == sum(block.count("mistral_offload") for block in blocks)
    for block in blocks:
        compile(block, "page", "exec")
    assert "".join(blocks).count("@workflows") == 3
