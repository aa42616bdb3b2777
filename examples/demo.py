"""`make demo` sends an input of five times the limit through client, store, platform and worker.

Everything runs on this machine: a real Temporal server, the local platform, a worker process and a
directory as the store. The workflow is the one in `examples/worker`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import logging
import os
import re
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
from rich.console import Console
from rich.table import Table
from temporalio.client import Client

from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig
from mistral_offload.devserver import LocalPlatform
from mistral_offload.errors import PayloadTooLargeError
from mistral_offload.storage import open_store

WORKER = Path(__file__).parent / "worker" / "worker.py"
WORKFLOW = "prepare-document"
PAGES = 10_000
PAGE = "All work and no play makes Jack a dull boy.   " * 22  # about 1 kB

console = Console(highlight=False)


@dataclass
class Run:
    """Costs of one execution; ``form`` is sync or async."""

    form: str
    execution_id: str
    input_bytes: int
    request_bytes: int
    seconds: float
    verified: bool
    history_bytes: int = 0


def main() -> int:
    """Run the demo; return 0 when every result was right."""
    started = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="mistral-offload-demo-") as folder:
        blobs, log = Path(folder) / "blobs", Path(folder) / "worker.log"
        storage = BlobStorageConfig(storage_provider="local", path=blobs)
        requests = count_store_requests()
        with LocalPlatform() as platform, running_worker(platform, blobs, log):
            console.print(f"Local platform on {platform.server_url}, for development only.")
            settings = {"api_key": platform.api_key, "server_url": platform.server_url}
            offloading = PayloadOffloadingConfig(storage_config=storage)
            runs = [
                send(settings, offloading),
                asyncio.run(send_async(settings, offloading)),
            ]
            asyncio.run(measure_histories(platform, runs))
            refusal = send_without_offloading(settings)
        # Blobs only: at start-up a worker also checks that it can reach the store.
        asked = re.findall(r"mistral_offload\.storage\.transfers:(get|put) ", log.read_text())
        requests += Counter(asked)
        show(runs, storage, requests)
    console.print(f"\nThe same input without offloading:\n  {refusal}", soft_wrap=True)
    console.print(f"\nDone in {time.monotonic() - started:.1f} s.")
    return 0 if all(run.verified for run in runs) else 1


def send(settings: dict[str, Any], offloading: PayloadOffloadingConfig) -> Run:
    """Send a document and wait for the result with the sync methods."""
    sent: list[int] = []
    document, expected = make_document("blocking")
    hooks = {"request": [lambda request: sent.append(len(request.content))]}
    begun = time.monotonic()
    with (
        httpx.Client(event_hooks=hooks) as http,
        Mistral(**settings, client=http, workflow_payload_offloading=offloading) as client,
    ):
        execution = client.workflows.execute_workflow(WORKFLOW, input=document)
        ended = client.workflows.wait_for_workflow_completion(execution.execution_id)
    seconds = time.monotonic() - begun
    verified = digest(ended.result) == digest(expected)
    return Run(
        "sync", execution.execution_id, len(json_text(document)), max(sent), seconds, verified
    )


async def send_async(settings: dict[str, Any], offloading: PayloadOffloadingConfig) -> Run:
    """Send a document and wait for the result with the async methods."""
    sent: list[int] = []
    document, expected = make_document("awaited")

    async def note(request: httpx.Request) -> None:
        sent.append(len(request.content))

    begun = time.monotonic()
    async with (
        httpx.AsyncClient(event_hooks={"request": [note]}) as http,
        Mistral(**settings, async_client=http, workflow_payload_offloading=offloading) as client,
    ):
        execution = await client.workflows.execute_workflow_async(WORKFLOW, input=document)
        ended = await client.workflows.wait_for_workflow_completion_async(execution.execution_id)
    seconds = time.monotonic() - begun
    verified = digest(ended.result) == digest(expected)
    return Run(
        "async", execution.execution_id, len(json_text(document)), max(sent), seconds, verified
    )


def send_without_offloading(settings: dict[str, Any]) -> str:
    """Return the error of a client without a store, which refuses before anything is sent."""
    document, _ = make_document("refused")
    with Mistral(**settings) as client:
        try:
            client.workflows.execute_workflow(WORKFLOW, input=document)
        except PayloadTooLargeError as error:
            return f"{type(error).__name__}: {error}"
    raise AssertionError("an input over the limit was sent")


def make_document(title: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return a 10 MB document, and the result that the workflow must return for it."""
    cleaned = " ".join(PAGE.split())
    pages = [f"{number}/{PAGES} {cleaned}" for number in range(1, PAGES + 1)]
    return {"title": title, "pages": [PAGE] * PAGES}, {"title": title, "pages": pages}


def json_text(value: Any) -> bytes:
    """Write a value as compact JSON, as the client sends it."""
    return json.dumps(value, ensure_ascii=False, separators=(",", ":")).encode()


def digest(value: Any) -> str:
    """Return the SHA-256 of a value's JSON."""
    return hashlib.sha256(json_text(value)).hexdigest()


@contextmanager
def running_worker(platform: LocalPlatform, blobs: Path, log: Path) -> Iterator[None]:
    """Run the example worker in a separate process, configured by its environment."""
    prefix = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__"
    environment = {
        **os.environ,
        **platform.environment(),
        f"{prefix}STORAGE_PROVIDER": "local",
        f"{prefix}PATH": str(blobs),
        "LOG_LEVEL": "DEBUG",
        # So that only requests for values are counted.
        "CHECK_STORAGE_ON_START": "false",
        "MISTRAL_OFFLOAD_EVENTS": "off",
    }
    with log.open("wb") as output:
        worker = subprocess.Popen(
            [sys.executable, str(WORKER)], env=environment, stdout=output, stderr=output
        )
        try:
            wait_until_registered(platform, worker, log)
            yield
        finally:
            worker.terminate()
            worker.wait(20)


def wait_until_registered(
    platform: LocalPlatform, worker: subprocess.Popen[bytes], log: Path
) -> None:
    """Wait until the worker is ready and has registered the workflow with the platform."""
    url = f"{platform.server_url}/v1/workflows/{WORKFLOW}"
    headers = {"authorization": f"Bearer {platform.api_key}"}
    deadline = time.monotonic() + 30
    while httpx.get(url, headers=headers).status_code != httpx.codes.OK:
        if worker.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the worker did not start:\n{log.read_text()}")
        time.sleep(0.1)


async def measure_histories(platform: LocalPlatform, runs: list[Run]) -> None:
    """Record the size of each execution's history in Temporal, in bytes."""
    client = await Client.connect(platform.temporal_address, namespace=platform.namespace)
    for run in runs:
        history = await client.get_workflow_handle(run.execution_id).fetch_history()
        run.history_bytes = sum(event.ByteSize() for event in history.events)


def count_store_requests() -> Counter[str]:
    """Count this process's requests to the store, from its log of transfers."""
    requests: Counter[str] = Counter()

    class Counting(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            requests[record.getMessage().split()[0]] += 1

    logger = logging.getLogger("mistral_offload.storage.transfers")
    logger.setLevel(logging.DEBUG)
    logger.addHandler(Counting())
    return requests


def show(runs: list[Run], storage: BlobStorageConfig, requests: Counter[str]) -> None:
    """Print the table."""
    console.print("\n10 MB in, 10 MB out")
    table = Table()
    table.add_column("")
    for run in runs:
        table.add_column(run.form, justify="right")
    rows = {
        "input": [f"{run.input_bytes:,} bytes" for run in runs],
        "largest HTTP request body": [f"{run.request_bytes:,} bytes" for run in runs],
        "Temporal history": [f"{run.history_bytes:,} bytes" for run in runs],
        "seconds": [f"{run.seconds:.2f}" for run in runs],
        "result digest verified": ["yes" if run.verified else "NO" for run in runs],
    }
    for name, cells in rows.items():
        table.add_row(name, *cells)
    console.print(table)
    asked = ", ".join(f"{count} {name}" for name, count in sorted(requests.items()))
    blobs = list(open_store(storage).list())
    console.print(f"\n{len(blobs)} blobs in the store, {asked} of client and worker together:")
    for run in runs:
        root, namespace, *_ = blobs[0].key.split("/")
        console.print(f"  {run.form}: {root}/{namespace}/…{run.execution_id[-8:]}/")
        for blob in blobs:
            if run.execution_id in blob.key:
                console.print(f"    {blob.size:>10,} bytes  {blob.key.rpartition('/')[2][:24]}…")


if __name__ == "__main__":
    sys.exit(main())
