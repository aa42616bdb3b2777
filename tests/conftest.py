"""Servers for all tests, and the marker of the tests that need one."""

from __future__ import annotations

import os
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

pytest_plugins = ["tests.time_limits", "tests.scheduler", "tests.servers.fixtures"]

# A directory without certificates, also for the programs that tests start: reading those of the
# public authorities takes 25 ms for each HTTP client, and no test needs them.
os.environ["SSL_CERT_DIR"] = str(Path(__file__).parent)

# How long an example takes says nothing on a busy machine; a test as a whole has a limit.
settings.register_profile("tests", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("tests")

# Fixtures that choose a server by their parameter, and the parameters that need none.
_BY_PARAMETER = {"backend": {"memory", "local"}, "route": set[str](), "remote": set[str]()}

_LONG_SECONDS = 300

_SERVER_PROGRAMS = re.compile("temporal|weed|node|fake-gcs-server.*|gcp-storage-emulator")


@pytest.fixture
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let activities that wait for a payload be retried after half a second instead of five."""
    from mistral_offload.temporal.failures import awaited_payloads

    monkeypatch.setattr(awaited_payloads, "_PAUSE", timedelta(seconds=0.5))


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark the tests whose fixtures start a server, and begin with the files that take longest.

    ``-m "not server"`` leaves the marked ones out. The time limits of a file's tests say how long
    it takes. Beyond a limit they are alike: the official packages, which the first of their tests
    installs, have the longest limit, and their files would wait for each other.
    """
    for item in items:
        if isinstance(item, pytest.Function) and _needs_server(item):
            item.add_marker("server")
    longest: dict[Path, float] = {}
    for item in items:
        marker = item.get_closest_marker("timeout")
        seconds = marker.args[0] if marker else 1 if "server" in item.keywords else 0
        longest[item.path] = max(min(seconds, _LONG_SECONDS), longest.get(item.path, 0))
    items.sort(key=lambda item: -longest[item.path])


def _needs_server(item: pytest.Function) -> bool:
    if "server_pool" in item.fixturenames:
        return True
    chosen = item.callspec.params if hasattr(item, "callspec") else {}
    return any(
        name in chosen and chosen[name] not in serverless
        for name, serverless in _BY_PARAMETER.items()
    )


# The test that runs, while it is one without the marker.
_serverless: pytest.Item | None = None


@pytest.hookimpl(wrapper=True)
def pytest_runtest_protocol(item: pytest.Item) -> Iterator[None]:
    """Let a test that starts a server without the marker fail."""
    global _serverless
    _serverless = None if item.get_closest_marker("server") else item
    try:
        return (yield)
    finally:
        _serverless = None


def _refuse_servers(event: str, arguments: tuple[object, ...]) -> None:
    if event == "subprocess.Popen" and _serverless is not None:
        command = arguments[1]
        parts = command if isinstance(command, list) else [command]
        if any(_SERVER_PROGRAMS.fullmatch(Path(str(part)).name) for part in parts):
            raise AssertionError(
                f"{_serverless.nodeid} starts a server without the marker: {parts}"
            )


sys.addaudithook(_refuse_servers)
