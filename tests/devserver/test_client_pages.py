"""Pages of the client, from the local platform over HTTP."""

import asyncio

import httpx
import pytest

from mistral_offload import Mistral
from mistral_offload.devserver import LocalPlatform
from tests.bounds import until, within

from .requests import new_id, start

RUNS = 120
AT_ONCE = 20


def groups(ids: list[str], size: int) -> list[list[str]]:
    return [ids[start : start + size] for start in range(0, len(ids), size)]


@pytest.mark.timeout(240)  # starts, lists and terminates many executions
async def test_iterating_over_many_runs(api: httpx.AsyncClient, platform: LocalPlatform) -> None:
    prefix = new_id()[:12]
    ids = {f"{prefix}-{number}" for number in range(RUNS)}
    for group in groups(sorted(ids), AT_ONCE):
        starting = [start(api, "sleep", execution_id=execution_id) for execution_id in group]
        await within(asyncio.gather(*starting))
    async with Mistral(platform.api_key, server_url=platform.server_url) as client:
        runs = client.workflows.runs

        async def listed() -> list[str]:
            return [run.execution_id async for run in runs.list_runs_iter_async(search=prefix)]

        async def are_listed() -> bool:
            return set(await listed()) >= ids

        # Temporal lists an execution a moment after its start; pages that are read before overlap.
        await until(are_listed, 60)
        assert sorted(await listed()) == sorted(ids)
        page = await runs.list_runs_async(search=prefix, page_size=50)
        assert len(page.executions) == 50
        second = await page.next()
        assert second is not None
        assert not {run.execution_id for run in page.executions} & {
            run.execution_id for run in second.executions
        }
        await client.workflows.executions.batch_terminate_workflow_executions_async(sorted(ids))
