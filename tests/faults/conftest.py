from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.faults.proxy import FaultProxy
from tests.faults.report import Recorder, tables
from tests.faults.routes import Route, open_route
from tests.servers.azurite import Azurite
from tests.servers.gcs import FakeGCS
from tests.servers.seaweed import Seaweed


@pytest.fixture
def recorder(request: pytest.FixtureRequest) -> Recorder:
    return Recorder(request)


@pytest.fixture(params=["s3", "azure", "gcs"])
def route(request: pytest.FixtureRequest) -> Iterator[Route]:
    """A store behind a proxy, with short timeouts to keep tests short."""
    server: Seaweed | Azurite | FakeGCS = request.getfixturevalue(
        {"s3": "seaweed", "azure": "azurite", "gcs": "fake_gcs"}[request.param]
    )
    proxy = FaultProxy(server.port)
    with open_route(server, proxy) as opened:
        yield opened
    proxy.stop()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    reports = [*terminalreporter.getreports("passed"), *terminalreporter.getreports("failed")]
    for title, lines in tables(row for report in reports for row in report.user_properties):
        terminalreporter.section(title)
        for line in lines:
            terminalreporter.line(line)
