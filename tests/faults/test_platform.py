"""Every fault between a client and the platform: the right result once, or an error."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from mistral_offload import BackoffStrategy, Mistral, RetryConfig
from mistral_offload.devserver import LocalPlatform
from mistral_offload.errors import (
    APIConnectionError,
    APITimeoutError,
    ResponseValidationError,
    ServerError,
)
from tests.faults.proxy import FaultProxy, Kind
from tests.faults.report import Recorder
from tests.faults.stack import Stack, make_text, turned
from tests.servers.worker import WorkerProcess

RETRY_SECONDS = 30.0
IMPATIENT_SECONDS = 3.0
TIMEOUT_SECONDS = 1.5
SLACK_SECONDS = 10.0  # on a busy machine
SOON_SECONDS = IMPATIENT_SECONDS + TIMEOUT_SECONDS + SLACK_SECONDS
"""Less than an exchange that stalls takes by itself: what is shown is that nothing hangs."""

BUSY = b'{"detail": "busy"}'


@dataclass
class Way:
    """A client connected to the platform through a proxy, and a worker connected directly."""

    proxy: FaultProxy
    client: Mistral
    worker: WorkerProcess
    stack: Stack

    def start(self, text: str) -> str:
        started = self.client.workflows.execute_workflow(
            "copy-payload", input={"text": text}, deployment_name=self.worker.deployment
        )
        return str(started.execution_id)

    def wait(self, execution_id: str, **options: Any) -> Any:
        workflows = self.client.workflows
        return workflows.wait_for_workflow_completion(execution_id, **options).result

    def execute_and_wait(self, text: str, execution_id: str | None) -> Any:
        return self.client.workflows.execute_workflow_and_wait(
            "copy-payload",
            {"text": text},
            execution_id=execution_id,
            deployment_name=self.worker.deployment,
            timeout_seconds=30,
        )

    def observed(self, recorder: Recorder, fault: str) -> AbstractContextManager[None]:
        return recorder.observe(self.proxy, fault, "platform", within=SOON_SECONDS)


@pytest.fixture(scope="module")
def stack(local_platform: LocalPlatform, tmp_path_factory: pytest.TempPathFactory) -> Stack:
    blobs: Path = tmp_path_factory.mktemp("blobs")
    return Stack(local_platform, {"storage_provider": "local", "path": str(blobs)})


@pytest.fixture(scope="module")
def worker(stack: Stack) -> Iterator[WorkerProcess]:
    worker = stack.worker()
    yield worker
    worker.stop()


@contextmanager
def open_way(stack: Stack, worker: WorkerProcess, retry_seconds: float) -> Iterator[Way]:
    proxy = FaultProxy(int(stack.platform.server_url.rpartition(":")[2]))
    timeout_ms = int(TIMEOUT_SECONDS * 1000)
    patience = RetryConfig(backoff=BackoffStrategy(100, 500, 2.0, int(retry_seconds * 1000), 50))
    with stack.client(server_url=proxy.url, timeout_ms=timeout_ms, retry_config=patience) as client:
        client.workflows.runs.list_runs()  # the connection is there, as it is after a while
        yield Way(proxy, client, worker, stack)
    proxy.stop()


@pytest.fixture
def way(stack: Stack, worker: WorkerProcess) -> Iterator[Way]:
    with open_way(stack, worker, RETRY_SECONDS) as way:
        yield way


@pytest.fixture
def impatient_way(stack: Stack, worker: WorkerProcess) -> Iterator[Way]:
    """Where what stays broken takes little time."""
    with open_way(stack, worker, IMPATIENT_SECONDS) as way:
        yield way


@pytest.mark.parametrize(
    "kind",
    [
        Kind.RESET_UPLOAD,
        Kind.HOLD_ANSWER,
        Kind.STALL,
        Kind.RESET_DOWNLOAD,
        Kind.CUT_DOWNLOAD,
        Kind.DRIP,
    ],
)
def test_a_workflow_is_started_once(way: Way, recorder: Recorder, kind: Kind) -> None:
    text = make_text(1, 300_000)
    way.proxy.order(kind, "POST", path="/execute")
    with way.observed(recorder, f"execute: {kind.value}"):
        execution_id = way.start(text)
    assert way.wait(execution_id, timeout_seconds=30) == {"result": turned(text)}
    answered = [each.status for each in way.proxy.requests if each.method == "POST"]
    assert answered.count(200) == 1


@pytest.mark.parametrize("given", [False, True], ids=["made id", "given id"])
@pytest.mark.parametrize(
    "kind",
    [
        Kind.RESET_UPLOAD,
        Kind.HOLD_ANSWER,
        Kind.STALL,
        Kind.RESET_DOWNLOAD,
        Kind.CUT_DOWNLOAD,
        Kind.SHORT_DOWNLOAD,
        Kind.DRIP,
    ],
)
def test_a_workflow_that_is_waited_for_is_started_once(
    way: Way, recorder: Recorder, kind: Kind, given: bool
) -> None:
    text, execution_id = make_text(6, 300_000), uuid4().hex if given else None
    way.proxy.order(kind, "POST", path="/execute")
    with way.observed(recorder, f"execute and wait: {kind.value}"):
        assert way.execute_and_wait(text, execution_id) == {"result": turned(text)}
    started = [each for each in way.proxy.requests if each.method == "POST" and each.status == 200]
    assert len(started) <= 1


def test_a_short_workflow_takes_one_request(stack: Stack, worker: WorkerProcess) -> None:
    proxy = FaultProxy(int(stack.platform.server_url.rpartition(":")[2]))
    with stack.client(server_url=proxy.url, hold_seconds=60) as client:
        way, text = Way(proxy, client, worker, stack), make_text(8, 300_000)
        assert way.execute_and_wait(text, None) == {"result": turned(text)}
        known = len(proxy.requests)
        assert way.execute_and_wait(text, None) == {"result": turned(text)}
    assert [each.method for each in proxy.requests[known:]] == ["POST"]
    proxy.stop()


def test_a_long_workflow_is_polled_for_after_the_request_was_held(
    stack: Stack, worker: WorkerProcess
) -> None:
    proxy = FaultProxy(int(stack.platform.server_url.rpartition(":")[2]))
    with stack.client(server_url=proxy.url, hold_seconds=0.001) as client:
        way, text = Way(proxy, client, worker, stack), make_text(9, 300_000)
        for _ in range(2):  # the platform does as expected, so the next request is held, too
            known = len(proxy.requests)
            assert way.execute_and_wait(text, None) == {"result": turned(text)}
            exchanged = [each for each in proxy.requests[known:] if "whoami" not in each.path]
            first, *polls = exchanged
            assert first.status == 408
            assert {each.method for each in polls} == {"GET"}
    proxy.stop()


@pytest.mark.parametrize("status", [500, 503, 504])
def test_a_proxy_that_does_not_let_requests_be_held(
    way: Way, recorder: Recorder, status: int
) -> None:
    text = make_text(7, 300_000)
    way.proxy.answer("POST", status, BUSY, times=1)
    with way.observed(recorder, f"execute and wait: HTTP {status} for the first POST"):
        assert way.execute_and_wait(text, None) == {"result": turned(text)}


@pytest.mark.parametrize("kind", [Kind.RESET_DOWNLOAD, Kind.CUT_DOWNLOAD, Kind.STALL, Kind.DRIP])
def test_waiting_goes_on(way: Way, recorder: Recorder, kind: Kind) -> None:
    text = make_text(2, 300_000)
    execution_id = way.start(text)
    way.proxy.order(kind, "GET", path="/executions/")
    with way.observed(recorder, f"wait: {kind.value}"):
        assert way.wait(execution_id, timeout_seconds=30) == {"result": turned(text)}


def test_half_an_answer_that_looks_whole_is_told(way: Way, recorder: Recorder) -> None:
    text = make_text(2, 300_000)
    execution_id = way.start(text)
    way.proxy.order(Kind.SHORT_DOWNLOAD, "GET", path="/executions/")
    with (
        pytest.raises(ResponseValidationError, match="malformed JSON"),
        way.observed(recorder, f"wait: {Kind.SHORT_DOWNLOAD.value}"),
    ):
        way.wait(execution_id, timeout_seconds=30)
    assert way.wait(execution_id, timeout_seconds=30) == {"result": turned(text)}


@pytest.mark.parametrize("status", [500, 503])
def test_a_platform_that_is_busy_for_a_while(way: Way, recorder: Recorder, status: int) -> None:
    text = make_text(3, 300_000)
    for method in ("GET", "POST"):
        way.proxy.answer(method, status, BUSY, times=2)
    with way.observed(recorder, f"execute and wait: HTTP {status} twice"):
        assert way.wait(way.start(text), timeout_seconds=30) == {"result": turned(text)}


def test_a_closed_door(way: Way, recorder: Recorder) -> None:
    text = make_text(4, 300_000)
    with way.proxy.refusing(0.5), way.observed(recorder, "execute: connection refused for 0.5 s"):
        execution_id = way.start(text)
    with way.proxy.refusing(0.5), way.observed(recorder, "wait: connection refused for 0.5 s"):
        assert way.wait(execution_id, timeout_seconds=30) == {"result": turned(text)}


def test_a_stream_goes_on_where_it_broke(way: Way, recorder: Recorder) -> None:
    execution_id = way.start(make_text(5, 300_000))
    way.wait(execution_id, timeout_seconds=30)
    seen: list[str] = []
    with way.observed(recorder, "stream: connection broken, then refused for 0.3 s"):
        for frame in way.client.workflows.executions.stream(execution_id, reconnect=True):
            assert frame.data is not None
            seen.append(str(frame.data.data.event_type))  # type: ignore[union-attr]
            if len(seen) == 1:
                with way.proxy.refusing(0.3):
                    pass
    assert seen == [
        "WORKFLOW_EXECUTION_STARTED",
        "ACTIVITY_TASK_STARTED",
        "ACTIVITY_TASK_COMPLETED",
        "WORKFLOW_EXECUTION_COMPLETED",
    ]


def test_a_platform_that_is_busy_for_good(impatient_way: Way, recorder: Recorder) -> None:
    way = impatient_way
    way.proxy.answer("GET", 503, BUSY, times=1000)
    with pytest.raises(ServerError, match="503"), way.observed(recorder, "wait, permanent: 503"):
        way.wait("any")


def test_a_platform_that_nobody_reaches(impatient_way: Way, recorder: Recorder) -> None:
    way = impatient_way
    with (
        way.proxy.refusing(IMPATIENT_SECONDS + TIMEOUT_SECONDS),
        pytest.raises(APIConnectionError, match="no response from"),
        way.observed(recorder, "execute, permanent: connection refused"),
    ):
        way.start("text")


def test_a_platform_that_never_answers(impatient_way: Way, recorder: Recorder) -> None:
    way = impatient_way
    way.proxy.order(Kind.STALL, "GET", times=1000)
    with (
        pytest.raises(APITimeoutError, match="no response from GET"),
        way.observed(recorder, f"wait, permanent: {Kind.STALL.value}"),
    ):
        way.wait("any")


def test_the_time_of_a_wait_bounds_its_requests_too(
    way: Way, local_platform: LocalPlatform, recorder: Recorder
) -> None:
    """A request alone may take minutes."""
    way.proxy.order(Kind.STALL, "GET", times=1000)
    with (
        way.stack.client(server_url=way.proxy.url) as client,
        pytest.raises(APITimeoutError),
        way.observed(recorder, "wait of 1 s at most, permanent: no response"),
    ):
        client.workflows.wait_for_workflow_completion("any", timeout_seconds=1)
