"""``run_worker``: discovery, registration, heartbeats, shutdown."""

from __future__ import annotations

import asyncio
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import httpx
import pytest

import mistral_offload.workflows as workflows
from mistral_offload.environment.discovery import TemporalAddress, find_temporal, parse_target
from mistral_offload.environment.platform_api import DeploymentLocation, Platform
from mistral_offload.errors import AuthenticationError, ConfigurationError
from mistral_offload.temporal import data_converter
from mistral_offload.workflows import WorkerSettings, workflow
from mistral_offload.workflows.definitions import definition_of
from mistral_offload.workflows.registration import WorkerRegistration, describe_workflow
from tests.bounds import in_background, kill, output_of, read_line, start, within
from tests.temporal_bounds import connect, result_of
from tests.workflows import documents

REF = {"workflow_id": "w", "workflow_version_id": "v", "workflow_registration_id": "r"}


class Stand:
    """Responds like the platform, and records the requests."""

    def __init__(self, target: str) -> None:
        self.target = target
        self.asked: list[tuple[str, Any]] = []
        self.heartbeats: list[bool] = []

    def paths(self) -> list[str]:
        return [path for path, _ in self.asked]

    def answer(self, path: str, body: Any) -> tuple[int, Any]:
        self.asked.append((path, body))
        if path.endswith("/whoami"):
            return 200, {
                "scheduler_url": self.target,
                "namespace": "default",
                "tls": False,
                "features": {},
            }
        if path.endswith("/register"):
            return 200, {"has_conflicts": False, "workflow_registration_refs": [REF]}
        if path.endswith("/heartbeat"):
            return 200, {"all_active": self.heartbeats.pop(0) if self.heartbeats else True}
        return 404, {"detail": "no such route"}

    def client(self) -> httpx.AsyncClient:
        def handle(request: httpx.Request) -> httpx.Response:
            body = json.loads(request.content) if request.content else None
            status, document = self.answer(request.url.path, body)
            return httpx.Response(status, json=document)

        return httpx.AsyncClient(transport=httpx.MockTransport(handle))


def settings(**values: Any) -> WorkerSettings:
    return WorkerSettings(_env_file=None, mistral_api_key="key", **values)


async def test_a_worker_finds_registers_and_runs(
    temporal_target: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mistral_offload")
    stand = Stand(temporal_target)
    async with stand.client() as client:
        working = workflows.run_worker(
            [documents.Greeting, documents.Documents],
            activities=documents.ACTIVITIES,
            settings=settings(deployment_name="worker-test", mistral_offload_events="off"),
            worker_name="w-1",
            client=client,
        )
        temporal = await connect(temporal_target, data_converter=data_converter())
        async with in_background(working):
            handle = await temporal.start_workflow(
                "greeting", {"name": "Ada"}, id="worker-greeting", task_queue="worker-test"
            )
            result = await result_of(handle)
    assert result == {"result": "Hello, Ada!"}
    assert stand.paths() == ["/v1/workflows/workers/whoami", "/v1/workflows/register"]
    body = stand.asked[1][1]
    assert (body["deployment_name"], body["worker_name"]) == ("worker-test", "w-1")
    assert body["deployment_location"] == {"location_type": "local"}
    assert [spec["name"] for spec in body["definitions"]] == ["greeting", "documents"]
    (announced,) = [r.getMessage() for r in caplog.records if r.name == "mistral_offload.worker"]
    for text in (temporal_target, "worker-test", "greeting, documents", "offloading: off"):
        assert text in announced


def test_description_of_a_workflow() -> None:
    spec = describe_workflow(definition_of(documents.Inbox), task_queue="q")
    assert spec["execution_timeout"] == "PT1H"
    assert spec["enforce_determinism"] is True
    assert spec["input_schema"]["properties"] == {}
    assert spec["output_schema"]["properties"]["result"]["type"] == "array"
    deliver = next(signal for signal in spec["signals"] if signal["name"] == "deliver")
    assert deliver["input_schema"]["required"] == ["letter"]
    assert "output_schema" not in deliver
    assert {query["name"]: query["output_schema"] for query in spec["queries"]}["count"] == {
        "type": "integer"
    }
    assert spec["updates"][0]["name"] == "set_limit"
    assert json.dumps(spec)


async def test_heartbeats_and_registering_again(caplog: pytest.LogCaptureFixture) -> None:
    stand = Stand("")
    stand.heartbeats = [True, False, True]
    async with stand.client() as client:
        registration = WorkerRegistration(
            Platform(settings(), client),
            [{"name": "n"}],
            worker_name="w-1",
            location=DeploymentLocation(location_type="local"),
            heartbeat_seconds=0.01,
        )
        await registration.register()
        beats = iter(range(1, 6))
        enough = asyncio.Event()

        def count() -> None:
            beat = next(beats, None)
            if beat == 3:
                raise ConfigurationError("a token file is gone")
            if beat == 5:
                enough.set()

        async with in_background(registration.keep_alive(count)):
            await within(enough.wait())
    heartbeat, register = "/v1/workflows/workers/heartbeat", "/v1/workflows/register"
    assert stand.paths()[:4] == [register, heartbeat, heartbeat, register]
    assert stand.asked[1][1] == {
        "deployment_name": None,
        "worker_name": "w-1",
        "workflow_registration_refs": [REF],
    }
    warnings = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
    assert warnings == ["Heartbeat failed: a token file is gone"]


async def test_discovery() -> None:
    stand = Stand("https://temporal.example")
    async with stand.client() as client:
        platform = Platform(settings(), client)
        assert await find_temporal(settings(), platform) == TemporalAddress(
            "temporal.example:443", "default", False
        )
        local = settings(temporal_server_url="localhost:1", temporal_tls=True)
        assert await find_temporal(local, platform) == TemporalAddress(
            "localhost:1", "default", True
        )
        assert len(stand.asked) == 2
        complete = settings(temporal_server_url="localhost:1", temporal_namespace="mine")
        assert await find_temporal(complete, platform) == TemporalAddress(
            "localhost:1", "mine", False
        )
        assert len(stand.asked) == 2  # no request left
    assert await find_temporal(settings(), None) == TemporalAddress(
        "localhost:7233", "mistral-workflows", False
    )


async def test_a_platform_that_does_not_tell(caplog: pytest.LogCaptureFixture) -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(404))
    async with httpx.AsyncClient(transport=transport) as client:
        found = await find_temporal(settings(), Platform(settings(), client))
    assert found == TemporalAddress("localhost:7233", "mistral-workflows", False)
    assert "does not provide the address of Temporal" in caplog.text


async def test_a_platform_that_refuses() -> None:
    transport = httpx.MockTransport(lambda _: httpx.Response(401))
    async with httpx.AsyncClient(transport=transport) as client:
        with pytest.raises(AuthenticationError):
            await within(
                workflows.run_worker(
                    [documents.Greeting], activities=[], settings=settings(), client=client
                )
            )


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("localhost:7233", ("localhost:7233", False)),
        ("temporal", ("temporal:7233", False)),
        ("https://t.example", ("t.example:443", True)),
        ("http://t.example", ("t.example:80", False)),
        ("https://t.example:7233/path", ("t.example:7233", True)),
        ("[::1]:7233", ("[::1]:7233", False)),
    ],
)
def test_addresses(text: str, expected: tuple[str, bool]) -> None:
    assert parse_target(text) == expected


def test_addresses_that_are_none() -> None:
    for text in ("", "host:port", "https://"):
        with pytest.raises(ConfigurationError, match="not a valid address"):
            parse_target(text)


async def test_workers_that_cannot_start() -> None:
    @workflow.define(name="greeting")
    class Local:
        @workflow.entrypoint
        async def run(self) -> None: ...

    @workflow.define(name="greeting", enforce_determinism=False)
    class Same:
        @workflow.entrypoint
        async def run(self) -> None: ...

    for classes, problem in (
        ([], "at least one"),
        ([Local], "top level"),
        ([documents.Greeting, Same], "two workflows"),
    ):
        with pytest.raises(ConfigurationError, match=problem):
            await within(workflows.run_worker(classes, activities=[], settings=settings()))


SCRIPT = """
import asyncio
import sys
import time

import mistral_offload.workflows as workflows


@workflows.activity()
def slow() -> str:
    print("started", flush=True)
    time.sleep(0.5)
    return "done"


@workflows.workflow.define(name="slow")
class Slow:
    @workflows.workflow.entrypoint
    async def run(self) -> str:
        return await slow()


if __name__ == "__main__":
    asyncio.run(workflows.run_worker([Slow]))
"""


@pytest.fixture
def stand_url(temporal_target: str) -> Iterator[str]:
    stand = Stand(temporal_target)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.reply(None)

        def do_POST(self) -> None:
            self.reply(json.loads(self.rfile.read(int(self.headers["content-length"]))))

        def reply(self, body: Any) -> None:
            status, document = stand.answer(self.path, body)
            text = json.dumps(document).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_a_program_after_its_activities(
    stand_url: str, temporal_target: str, tmp_path: Path, number: signal.Signals
) -> None:
    (tmp_path / "program.py").write_text(SCRIPT)
    queue = f"program-{number.name}"
    process = start(
        [sys.executable, "program.py"],
        cwd=tmp_path,
        env={**os.environ, "SERVER_URL": stand_url, "DEPLOYMENT_NAME": queue},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        temporal = await connect(temporal_target)
        handle = await temporal.start_workflow("slow", id=queue, task_queue=queue)
        assert await asyncio.to_thread(read_line, process) == "started\n"
        process.send_signal(number)
        out, err = await asyncio.to_thread(output_of, process)
    finally:
        kill(process)
    assert process.returncode == 0, err
    assert out == ""
    assert "workflows: slow; activities: slow" in err
    assert "Traceback" not in err
    history = await handle.fetch_history()
    kinds = [event.WhichOneof("attributes") for event in history.events]
    assert "activity_task_completed_event_attributes" in kinds
    await handle.terminate()
