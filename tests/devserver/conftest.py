"""One real platform and one real worker for all tests of this package."""

import asyncio
import ssl
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import Future
from typing import Any

import httpx
import pytest
from temporalio.worker import Worker

from mistral_offload.devserver import LocalPlatform
from tests.bounds import PATIENCE_SECONDS, join
from tests.temporal_bounds import connect, running

from .raw_workflows import TASK_QUEUE, WORKFLOWS, break_down

# Reading the machine's certificates for every client would take longer than the tests.
NO_TLS = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)

WORKER = {"deployment_name": "raw", "worker_name": "raw-1"}


@pytest.fixture(scope="session")
def platform(local_platform: LocalPlatform) -> LocalPlatform:
    return local_platform


@pytest.fixture
async def bare(platform: LocalPlatform) -> AsyncIterator[httpx.AsyncClient]:
    """A client of the platform, with or without a worker."""
    async with httpx.AsyncClient(
        base_url=platform.server_url,
        headers={"authorization": f"Bearer {platform.api_key}"},
        timeout=30,
        verify=NO_TLS,
    ) as client:
        yield client


@pytest.fixture
def api(bare: httpx.AsyncClient, worker: None) -> httpx.AsyncClient:
    """A client of the platform while a worker runs the raw workflows."""
    return bare


@pytest.fixture(scope="session")
def worker(platform: LocalPlatform) -> Iterator[None]:
    started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

    async def run() -> None:
        stop = asyncio.Event()
        client = await connect(platform.temporal_address, namespace=platform.namespace)
        worker = Worker(client, task_queue=TASK_QUEUE, workflows=WORKFLOWS, activities=[break_down])
        async with running(worker):
            started.set_result((asyncio.get_running_loop(), stop))
            await asyncio.ensure_future(stop.wait())  # as long as tests run

    thread = threading.Thread(target=lambda: asyncio.run(run()), daemon=True)
    thread.start()
    loop, stop = started.result(PATIENCE_SECONDS)
    names = ("echo", "tell", "produce", "fail", "sleep", "countdown", "talk")
    definitions: list[dict[str, Any]] = [
        {"name": name, "task_queue": TASK_QUEUE, "input_schema": {}} for name in names
    ]
    httpx.post(
        f"{platform.server_url}/v1/workflows/register",
        json={"definitions": definitions, **WORKER},
        headers={"authorization": f"Bearer {platform.api_key}"},
    ).raise_for_status()
    yield
    loop.call_soon_threadsafe(stop.set)
    join(thread)
