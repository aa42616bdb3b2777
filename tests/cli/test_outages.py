"""Commands give up soon on a platform, or a Temporal, that does not respond."""

from __future__ import annotations

import json
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from .command import call_command

STORAGE = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG"


@pytest.fixture(params=["closed", "silent"])
def address(request: pytest.FixtureRequest) -> Iterator[str]:
    """Address at which nothing listens, or where connections are accepted and nothing is sent."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        address = f"127.0.0.1:{listener.getsockname()[1]}"
        if request.param == "silent":
            yield address
            return
    yield address


def write_settings(folder: Path, **variables: str) -> str:
    lines = {
        f"{STORAGE}__STORAGE_PROVIDER": "local",
        f"{STORAGE}__PATH": str(folder / "blobs"),
        "MISTRAL_API_KEY": "local",
        **variables,
    }
    path = folder / "worker.env"
    path.write_text("".join(f"{name}={value}\n" for name, value in lines.items()))
    return str(path)


COMMANDS = [
    ["inspect", "w"],
    ["blobs", "gc"],
    ["blobs", "rm", "--execution", "w"],
    ["blobs", "renew"],
]


@pytest.mark.parametrize("command", COMMANDS)
def test_a_platform_that_is_down(address: str, command: list[str], tmp_path: Path) -> None:
    config = write_settings(tmp_path, SERVER_URL=f"http://{address}")
    ended = call_command(*command, "--wait", "0.5", "--config", config, "--json")
    assert ended.returncode == 1
    error = json.loads(ended.stdout)["error"]
    assert error["type"] in ("APIConnectionError", "APITimeoutError")
    assert f"check server_url 'http://{address}'" in error["message"]
    assert "gave up after" in error["message"]


def test_a_temporal_that_is_down(address: str, tmp_path: Path) -> None:
    config = write_settings(
        tmp_path, TEMPORAL_SERVER_URL=address, TEMPORAL_NAMESPACE="n", SERVER_URL="http://[::1]:9"
    )
    ended = call_command("inspect", "w", "--wait", "0.5", "--config", config)
    assert ended.returncode == 1
    assert f"no connection to Temporal at {address}" in ended.stderr


def test_the_default_wait_is_below_ten_seconds_for_both() -> None:
    from mistral_offload.environment.temporal_client import COMMAND_WAIT_SECONDS

    assert 2 * COMMAND_WAIT_SECONDS < 10
