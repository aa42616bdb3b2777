"""Pages of the client, from the local platform over HTTP."""

import asyncio

import httpx

from mistral_offload import Mistral
from mistral_offload.devserver import LocalPlatform
from tests.bounds import until, within

from .requests import new_id, start

RUNS = 120


async def test_iterating_over_many_runs(api: httpx.AsyncClient, platform: LocalPlatform) -> None:
    prefix = new_id()[:12]
    ids = {f"{prefix}-{number}" for number in range(RUNS)}
    starting = [start(api, "sleep", execution_id=execution_id) for execution_id in ids]
    await within(asyncio.gather(*starting))
    async with Mistral(platform.api_key, server_url=platform.server_url) as client:
        runs = client.workflows.runs
        seen: list[str] = []

        async def are_listed() -> bool:
            seen[:] = [run.execution_id async for run in runs.list_runs_iter_async(search=prefix)]
            return len(seen) >= RUNS

        await until(are_listed)  # Temporal lists an execution a moment after its start
        assert sorted(seen) == sorted(ids)
        page = await runs.list_runs_async(search=prefix, page_size=50)
        assert len(page.executions) == 50
        second = await page.next()
        assert second is not None
        assert not {run.execution_id for run in page.executions} & {
            run.execution_id for run in second.executions
        }
        await client.workflows.executions.batch_terminate_workflow_executions_async(sorted(ids))
