"""The whole platform: start, end, and effects on the program that embeds it."""

import asyncio
import os
import signal
import socket
import threading
import time
from pathlib import Path

import httpx
import pytest

from mistral_offload.devserver import (
    LocalPlatform,
    LocalPlatformError,
    server_thread,
    temporal_server,
)
from mistral_offload.devserver.ports import own_addresses
from tests.bounds import PATIENCE_SECONDS, Threads, wait_until

from .conftest import NO_TLS
from .processes import Script, assert_gone, listens, pids_of, server_pid
from .requests import execute, execution

pytestmark = pytest.mark.server  # it starts its own servers


def key(platform: LocalPlatform) -> dict[str, str]:
    return {"authorization": f"Bearer {platform.api_key}"}


def send(platform: LocalPlatform, method: str, path: str, json: object = None) -> httpx.Response:
    with httpx.Client(verify=NO_TLS, headers=key(platform), timeout=PATIENCE_SECONDS) as client:
        return client.request(method, platform.server_url + path, json=json)


def register(platform: LocalPlatform) -> None:
    body = {"definitions": [{"name": "lonely"}], "deployment_name": "d", "worker_name": "w"}
    assert send(platform, "POST", "/v1/workflows/register", body).status_code == 200


@pytest.fixture
def much_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    """Grace periods longer than every bound of these tests."""
    monkeypatch.setattr(server_thread, "_STOP_SECONDS", 2 * PATIENCE_SECONDS)
    monkeypatch.setattr(temporal_server, "_SAVE_SECONDS", 2 * PATIENCE_SECONDS)


@pytest.mark.usefixtures("much_grace")
def test_both_parts_respond_and_then_nothing_is_left() -> None:
    threads = set(threading.enumerate())
    with LocalPlatform(namespace="acme") as platform:
        whoami = send(platform, "GET", "/v1/workflows/workers/whoami").json()
        assert whoami["scheduler_url"] == platform.temporal_address
        assert whoami["namespace"] == platform.namespace == "acme"
        assert platform.environment() == {
            "SERVER_URL": platform.server_url,
            "MISTRAL_API_KEY": platform.api_key,
        }
        assert platform.loopback_only
        platform.check()
        platform.start()  # already running
        started = time.monotonic()
    assert time.monotonic() - started < PATIENCE_SECONDS
    assert_gone(platform.temporal_address, within=0)
    assert not listens(platform.server_url.removeprefix("http://"))
    assert set(threading.enumerate()) <= threads  # threads of other tests may end meanwhile
    platform.close()


async def test_from_async_code() -> None:
    platform = LocalPlatform()
    await asyncio.to_thread(platform.start)
    try:
        async with httpx.AsyncClient(verify=NO_TLS, headers=key(platform)) as client:
            url = f"{platform.server_url}/v1/workflows/workers/whoami"
            assert (await client.get(url)).status_code == 200
    finally:
        await asyncio.to_thread(platform.close)


def test_a_port_in_use_starts_nothing() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        platform = LocalPlatform(port=taken.getsockname()[1])
        with pytest.raises(LocalPlatformError, match="in use"):
            platform.start()
        assert pids_of(platform.temporal_address) == []


def test_a_failed_start_frees_the_port(tmp_path: Path) -> None:
    platform = LocalPlatform(db=tmp_path / "nowhere" / "x.db")
    with pytest.raises(LocalPlatformError, match="no such file"):
        platform.start()
    assert not listens(platform.server_url.removeprefix("http://"))
    assert_gone(platform.temporal_address)


@pytest.mark.usefixtures("much_grace")
def test_closing_does_not_wait_for_executions() -> None:
    with Threads() as threads:
        with LocalPlatform() as platform:
            register(platform)
            body = {"wait_for_result": True}
            waiting = threads.submit(send, platform, "POST", execute("lonely"), body)
            listed = "/v1/workflows/runs"
            wait_until(lambda: send(platform, "GET", listed).json()["executions"])
            started = time.monotonic()
        assert time.monotonic() - started < PATIENCE_SECONDS
        response = waiting.result()
    assert response.status_code == 503
    assert "stopping" in response.json()["detail"]


def test_check_fails_when_temporal_is_gone() -> None:
    with LocalPlatform() as platform:
        os.kill(server_pid(platform.temporal_address), signal.SIGKILL)
        assert_gone(platform.temporal_address)
        with pytest.raises(LocalPlatformError, match="Temporal has ended"):
            platform.check()
        assert send(platform, "GET", execution("x")).status_code == 503


def test_a_host_without_address() -> None:
    with pytest.raises(LocalPlatformError, match=r"no address .*nowhere\.invalid"):
        LocalPlatform(host="nowhere.invalid")


def test_the_key_is_new_unless_given() -> None:
    keys = {LocalPlatform().api_key for _ in range(3)}
    assert len(keys) == 3
    assert min(map(len, keys)) >= 32
    assert LocalPlatform(api_key="of-a-team").api_key == "of-a-team"
    for key in ("", "two words", "é", "a\nb"):
        with pytest.raises(LocalPlatformError, match="printable ASCII"):
            LocalPlatform(api_key=key)


def test_exposed_to_the_network_only_on_request() -> None:
    with LocalPlatform(host="0.0.0.0") as platform:
        assert not platform.loopback_only
        port = platform.server_url.rpartition(":")[2]
        url = f"http://localhost:{port}/v1/workflows/workers/whoami"
        with httpx.Client(verify=NO_TLS, headers=key(platform)) as client:
            scheduler = client.get(url).json()["scheduler_url"]
            for name in own_addresses() | {socket.gethostname()}:
                host = f"[{name}]" if ":" in name else name
                assert client.get(url, headers={"host": f"{host}:{port}"}).status_code == 200
            assert client.get(url, headers={"host": "evil.example"}).status_code == 403
        assert scheduler == f"localhost:{platform.temporal_address.rpartition(':')[2]}"


@pytest.mark.parametrize("end", ["platform.close()", ""], ids=["closed", "forgotten"])
def test_a_script_ends_cleanly(end: str) -> None:
    source = (
        "import httpx\n"
        "from mistral_offload.devserver import LocalPlatform\n"
        "platform = LocalPlatform()\n"
        "platform.start()\n"
        "url = platform.server_url + '/v1/workflows/runs'\n"
        "headers = {'authorization': f'Bearer {platform.api_key}'}\n"
        "httpx.get(url, headers=headers).raise_for_status()\n"
        "print(platform.temporal_address, flush=True)\n"
    )
    with Script(source + end) as script:
        address = script.line()
        assert script.end() == (0, "")
    assert_gone(address)
