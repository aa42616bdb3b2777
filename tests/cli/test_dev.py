"""``mistral-offload dev``: its output, its servers, and its end."""

import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.bounds import output_of
from tests.devserver.processes import assert_gone, listens, server_pid

from .command import Dev, run_command, split_steps

pytestmark = pytest.mark.server  # it starts its own servers


def send(dev: Dev, method: str, path: str, json: object = None) -> httpx.Response:
    """Send a request with the exported variables."""
    key = dev.environment["MISTRAL_API_KEY"]
    return httpx.request(
        method,
        dev.environment["SERVER_URL"] + path,
        json=json,
        headers={"authorization": f"Bearer {key}"},
    )


def test_from_start_to_ctrl_c() -> None:
    with Dev() as dev:
        assert set(dev.environment) == {"SERVER_URL", "MISTRAL_API_KEY"}
        assert "development only" in dev.announcement
        assert "in memory" in dev.announcement
        assert "Exposed to the network" not in dev.announcement
        whoami = send(dev, "GET", "/v1/workflows/workers/whoami").json()
        assert whoami["scheduler_url"] == dev.temporal_address
        assert whoami["namespace"] == "mistral-workflows"
        assert dev.environment["SERVER_URL"].startswith("http://127.0.0.1:")
        assert dev.end(signal.SIGINT) == (0, "", "")
        assert dev.steps == [
            "loading the local platform",
            "starting Temporal's server",
            f"Temporal accepts requests on {dev.temporal_address}",
            "starting the REST API",
            "ready",
        ]
        assert_gone(dev.temporal_address, within=0.5)


def test_sigterm_and_chosen_ports() -> None:
    with socket.socket() as one, socket.socket() as other:
        for sock in (one, other):
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(("127.0.0.1", 0))
        port, temporal_port = one.getsockname()[1], other.getsockname()[1]
    with Dev(
        *("--port", str(port), "--temporal-port", str(temporal_port)),
        *("--namespace", "acme", "--api-key", "of-a-team"),
    ) as dev:
        assert dev.environment["MISTRAL_API_KEY"] == "of-a-team"
        url = f"{dev.server_url}/v1/workflows/workers/whoami"
        assert httpx.get(url, headers={"authorization": "Bearer another"}).status_code == 401
        assert dev.environment["SERVER_URL"] == f"http://127.0.0.1:{port}"
        assert dev.temporal_address == f"127.0.0.1:{temporal_port}"
        assert send(dev, "GET", "/v1/workflows/workers/whoami").json()["namespace"] == "acme"
        assert dev.end(signal.SIGTERM) == (0, "", "")
        assert_gone(dev.temporal_address, within=0.5)


def test_temporals_ui_and_its_codec_server() -> None:
    with Dev("--ui") as dev:
        page = httpx.get(f"{dev.ui_url}/api/v1/settings")
        codec = page.json()["Codec"]["Endpoint"]
        assert httpx.get(f"{codec}/health").json() == {"status": "ok"}
        assert dev.end(signal.SIGINT) == (0, "", "")
        for url in (dev.ui_url, codec):
            assert_gone(url.removeprefix("http://"), within=0.5)


def test_nothing_is_left_when_it_is_killed() -> None:
    with Dev() as dev:
        assert listens(dev.temporal_address)
        dev.end(signal.SIGKILL)
        assert_gone(dev.temporal_address)


def test_a_file_keeps_executions_and_workers_register_again(tmp_path: Path) -> None:
    db = str(tmp_path / "state.db")
    worker = {"deployment_name": "d", "worker_name": "w"}
    heartbeat = "/v1/workflows/workers/heartbeat", worker
    execute = "/v1/workflows/lonely/execute"
    with Dev("--db", db) as dev:
        assert f"kept in {db}" in dev.announcement
        spec = {"definitions": [{"name": "lonely"}], **worker}
        send(dev, "POST", "/v1/workflows/register", spec).raise_for_status()
        send(dev, "POST", execute, {"execution_id": "kept"}).raise_for_status()
        assert send(dev, "POST", *heartbeat).json() == {"all_active": True}
        assert dev.end(signal.SIGINT) == (0, "", "")
    with Dev("--db", db) as dev:
        kept = send(dev, "GET", "/v1/workflows/executions/kept").json()
        assert (kept["workflow_name"], kept["status"]) == ("lonely", "RUNNING")
        listed = send(dev, "GET", "/v1/workflows/runs").json()["executions"]
        assert [item["execution_id"] for item in listed] == ["kept"]
        assert send(dev, "POST", *heartbeat).json() == {"all_active": False}
        response = send(dev, "POST", execute, {})
        assert response.status_code == 404
        assert "no worker has registered" in response.json()["detail"]


def test_logs_go_to_stderr_on_request() -> None:
    with Dev("--log-level", "info") as dev:
        send(dev, "GET", "/v1/workflows/workers/whoami")
        code, out, err = dev.end(signal.SIGINT)
        assert (code, out) == (0, "")
        assert "level=INFO" in err, "Temporal's"
        assert "GET /v1/workflows/workers/whoami" in err, "the REST API's"


@pytest.mark.parametrize("option", ["--port", "--temporal-port"])
def test_a_port_in_use(option: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = str(taken.getsockname()[1])
        ended = run_command("dev", option, port)
    assert (ended.returncode, ended.stdout) == (1, "")
    _, problem = split_steps(ended.stderr)
    (line,) = problem.splitlines()
    assert f"port {port}" in line


def test_temporal_dies() -> None:
    with Dev() as dev:
        os.kill(server_pid(dev.temporal_address), signal.SIGKILL)
        _, err = output_of(dev.process)
        assert dev.process.returncode == 1
        assert "Temporal has ended" in err
        assert "Traceback" not in err
