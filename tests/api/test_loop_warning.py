"""Sync methods called inside a running event loop warn once."""

from __future__ import annotations

import warnings
from pathlib import Path

import httpx
import pytest

from mistral_offload import Mistral, _synchronization


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Mistral:
    monkeypatch.setattr(_synchronization, "_has_warned", False)
    transport = httpx.MockTransport(lambda _: httpx.Response(204))
    return Mistral(
        "key",
        client=httpx.Client(transport=transport),
        async_client=httpx.AsyncClient(transport=transport),
    )


async def test_it_names_the_method_to_await_and_the_line(client: Mistral) -> None:
    with pytest.warns(RuntimeWarning, match=r"await cancel_workflow_execution_async\(\)") as caught:
        client.workflows.executions.cancel_workflow_execution("e")
    assert Path(caught[0].filename) == Path(__file__)


async def test_it_names_what_was_called_not_what_that_calls(client: Mistral) -> None:
    with (
        pytest.warns(RuntimeWarning, match="await execute_workflow_and_wait_async"),
        pytest.raises(Exception, match="execute_workflow"),
    ):
        client.workflows.execute_workflow_and_wait("w")


async def test_it_says_so_once(client: Mistral) -> None:
    with pytest.warns(RuntimeWarning):
        client.workflows.executions.cancel_workflow_execution("e")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        client.workflows.schedules.unschedule_workflow("s")


async def test_the_other_colour_is_silent(client: Mistral) -> None:
    await client.workflows.executions.cancel_workflow_execution_async("e")


def test_without_a_loop_it_is_silent(client: Mistral) -> None:
    client.workflows.executions.cancel_workflow_execution("e")
