"""Temporal as a child process: readiness after the start, and cleanup in every case."""

import os
import shutil
import signal
import socket
import sysconfig
import textwrap
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

from mistral_offload.devserver import LocalPlatformError, TemporalServer
from mistral_offload.errors import MissingExtraError
from tests.temporal_bounds import connect

from .processes import Script, assert_gone, listens, pids_of, server_pid, supervisor_pid

pytestmark = pytest.mark.server  # it starts its own servers

SERVE = textwrap.dedent(
    """
    import os, time
    from mistral_offload.devserver import TemporalServer
    server = TemporalServer()
    server.start()
    {between}
    print(server.address, flush=True)
    time.sleep(60)
    """
)


async def test_the_namespace_exists_once_it_is_ready() -> None:
    with TemporalServer(namespace="acme") as server:
        client = await connect(server.address, namespace="acme")
        response = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace="acme")
        )
        assert response.namespace_info.name == "acme"
        server.start()  # already running
        assert len(pids_of(server.address)) == 2
    assert_gone(server.address, within=0)
    server.stop()


def test_a_port_in_use() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(LocalPlatformError, match=f"port {port}.*in use"):
            TemporalServer(port=port).start()


def test_output_is_shown_when_it_does_not_start(tmp_path: Path) -> None:
    server = TemporalServer(db=tmp_path / "nowhere" / "x.db")
    with pytest.raises(LocalPlatformError, match=r"(?s)ended before it was ready.*no such file"):
        server.start()
    assert not server.running
    assert_gone(server.address)


def test_without_the_binary(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(command: str, path: str | None = None) -> None:
        return None

    monkeypatch.setattr(shutil, "which", nothing)
    with pytest.raises(MissingExtraError, match=r"local platform .*mistral-offload\[dev\]"):
        TemporalServer().start()


def test_the_binary_is_found_on_the_path_too(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    from mistral_offload.devserver.temporal_server import find_temporal

    def elsewhere(name: str, scheme: str) -> str:
        return "/nowhere"

    installed = find_temporal()
    (tmp_path / "temporal").symlink_to(installed)
    monkeypatch.setattr(sysconfig, "get_path", elsewhere)
    monkeypatch.setenv("PATH", str(tmp_path))
    assert find_temporal() == tmp_path / "temporal"


def test_running_is_false_when_temporal_is_gone() -> None:
    with TemporalServer() as server:
        os.kill(server_pid(server.address), signal.SIGKILL)
        assert_gone(server.address)
        assert not server.running


def test_stop_finds_temporal_even_when_its_supervisor_was_killed() -> None:
    with TemporalServer() as server:
        os.kill(supervisor_pid(server.address), signal.SIGKILL)
        assert listens(server.address)
    assert_gone(server.address)


def test_a_supervisor_that_is_terminated_stops_temporal() -> None:
    with TemporalServer() as server:
        os.kill(supervisor_pid(server.address), signal.SIGTERM)
        assert_gone(server.address)


def test_nothing_is_left_when_the_owner_is_killed() -> None:
    with Script(SERVE.format(between="")) as script:
        address = script.line()
        assert listens(address)
        script.kill()
        assert_gone(address)


def test_nothing_is_left_although_a_forked_child_lives_on() -> None:
    """The child holds a copy of the pipe, so closing of the pipe alone would not be noticed."""
    fork = "child = os.fork()\nif not child: time.sleep(60)\nprint(child, flush=True)"
    with Script(SERVE.format(between=fork)) as script:
        child = int(script.line())
        try:
            address = script.line()
            script.kill()
            assert_gone(address)
        finally:
            os.kill(child, signal.SIGKILL)


def test_it_outlives_the_thread_that_started_it() -> None:
    in_a_thread = "import threading\nt = threading.Thread(target={start}); t.start(); t.join()"
    source = SERVE.replace("server.start()", in_a_thread.format(start="server.start"))
    with Script(source.format(between="time.sleep(0.5)")) as script:
        assert listens(script.line())
