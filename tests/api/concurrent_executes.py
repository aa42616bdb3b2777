"""Five hundred concurrent executes of 3 MB; a program that prints its costs as JSON."""

from __future__ import annotations

import asyncio
import json
import re
import time
from pathlib import Path

import httpx

from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig
from mistral_offload.payload.envelope import read_envelope
from mistral_offload.payload.jsontext import load_json
from mistral_offload.payload.reference import Reference
from mistral_offload.storage import MemoryStore, lazy_cache
from mistral_offload.storage.cache import BlobCache
from tests.bounds import within

CALLS = 500
SIZE = 3_000_000
SECONDS = 100.0

store = MemoryStore()


async def answer(request: httpx.Request) -> httpx.Response:
    """Start the execution if its input is in the store, and delete the input."""
    body = load_json(request.content)
    payload = read_envelope(body["encoded_input"])
    assert payload is not None
    key = Reference.from_json(payload.data).key
    store.stat(key)  # raises when it is not there
    store.lose(key)
    await asyncio.sleep(0.005)
    names = ("workflow_name", "execution_id", "root_execution_id")
    started = {
        **dict.fromkeys(names, body["execution_id"]),
        "status": "RUNNING",
        "start_time": "2026-01-02T03:04:05Z",
        "end_time": None,
        "result": None,
    }
    return httpx.Response(200, json=started)


async def watch(blocks: list[float]) -> None:
    """Record the work of the event loop's thread between two ticks, in seconds of CPU time.

    Wall time would include delays by other processes and by the other threads.
    """
    while True:
        started = time.thread_time()
        await asyncio.sleep(0.005)
        blocks.append(time.thread_time() - started)


def peak_kilobytes() -> int:
    """Return this process's peak memory; ``ru_maxrss`` would begin with that of its parent."""
    found = re.search(r"VmHWM:\s+(\d+)", Path("/proc/self/status").read_text())
    assert found is not None
    return int(found[1])


async def main() -> None:
    config = PayloadOffloadingConfig(
        storage_config=BlobStorageConfig(storage_provider="local", path=Path("unused"))
    )
    client = Mistral(
        "key",
        namespace="acme",
        async_client=httpx.AsyncClient(transport=httpx.MockTransport(answer)),
        workflow_payload_offloading=config,
    )
    value = {"text": "x" * SIZE}
    before = peak_kilobytes()
    blocks: list[float] = []
    watching = asyncio.create_task(watch(blocks))
    started, worked = time.perf_counter(), time.thread_time()
    executions = await within(
        asyncio.gather(
            *(client.workflows.execute_workflow_async("w", input=value) for _ in range(CALLS))
        ),
        SECONDS,
    )
    seconds = time.perf_counter() - started
    watching.cancel()
    peak = peak_kilobytes()
    print(
        json.dumps(
            {
                "started": len({execution.execution_id for execution in executions}),
                "seconds": round(seconds, 2),
                "longest_block_ms": round(max(blocks) * 1000, 1),
                "loop_ms": round((time.thread_time() - worked) * 1000, 1),
                "peak_mb": (peak - before) // 1024,
            }
        )
    )


if __name__ == "__main__":
    lazy_cache.open_cache = lambda _: BlobCache(store)
    asyncio.run(main())
