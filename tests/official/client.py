"""Runs the workflows of ``worker.py`` with the official client, and prints what it got as JSON.

Arguments: the deployment, and optionally an encryption key. ``CLIENT_ENCODING`` is JSON of a
``WorkflowEncodingConfig``, with which only what our own worker has, too, is run.
"""

import asyncio
import json
import os
import sys
import uuid

from mistralai.client import Mistral
from mistralai.extra.workflows.encoding import (
    PayloadEncryptionConfig,
    PayloadEncryptionMode,
    WorkflowEncodingConfig,
    configure_workflow_encoding,
)

PATIENCE_SECONDS = 110
PAUSE_SECONDS = 0.1


class Session:
    """One client, and the deployment whose workflows it runs."""

    def __init__(self, client: Mistral, deployment: str) -> None:
        self.client = client
        self.deployment = deployment

    async def start(self, workflow: str, given: dict[str, object]) -> str:
        """Start an execution, and return its id."""
        execution_id = uuid.uuid4().hex
        await self.client.workflows.execute_workflow_async(
            workflow_identifier=workflow,
            input=given,
            execution_id=execution_id,
            deployment_name=self.deployment,
        )
        return execution_id

    async def frames(self, execution_id: str, **options: str) -> list[dict[str, object]]:
        """Return all frames of an execution's stream, which ends with the execution."""
        stream = await self.client.workflows.executions.stream_async(
            execution_id=execution_id, **options
        )
        async with stream:
            return [json.loads(frame.model_dump_json()) async for frame in stream]

    async def events(self, **filters: object) -> list[dict[str, object]]:
        """Return all pages of the list of events."""
        found: list[dict[str, object]] = []
        cursor = None
        while True:
            page = await self.client.workflows.events.get_workflow_events_async(
                **filters, cursor=cursor
            )
            found += [json.loads(event.model_dump_json()) for event in page.events]
            cursor = page.next_cursor
            if not cursor:
                return found

    async def live(self, kinds: list[str], count: int) -> list[dict[str, object]]:
        """Return the first frames of these kinds in the stream of all executions."""
        stream = await self.client.workflows.events.get_stream_events_async(
            scope="workflow", workflow_event_types=kinds, workflow_name="official-echo"
        )
        found: list[dict[str, object]] = []
        async with stream:
            async for frame in stream:
                found.append(json.loads(frame.model_dump_json()))
                if len(found) == count:
                    break
        return found

    async def run(self, workflow: str, given: dict[str, object]) -> dict[str, object]:
        """Run a workflow; return its frames as they came, its state and the list of its events."""
        execution_id = await self.start(workflow, given)
        frames = await self.frames(execution_id)
        state = await self.client.workflows.executions.get_workflow_execution_async(
            execution_id=execution_id
        )
        return {
            "execution_id": execution_id,
            "frames": frames,
            "status": state.status,
            "result": state.result,
            "events": await self.events(workflow_exec_id=execution_id, limit=3),
        }

    async def talk(self) -> dict[str, object]:
        """Signal, query and update an execution until it ends."""
        execution_id = await self.start("official-talk", {"text": "hello"})
        executions = self.client.workflows.executions
        frames = asyncio.create_task(self.frames(execution_id))
        await executions.signal_workflow_execution_async(
            execution_id=execution_id, name="say", input={"text": "signal"}
        )
        updated = await executions.update_workflow_execution_async(
            execution_id=execution_id, name="ask", input={"text": "update"}
        )
        queried = await executions.query_workflow_execution_async(
            execution_id=execution_id, name="all", input={}
        )
        await executions.signal_workflow_execution_async(
            execution_id=execution_id, name="say", input={"text": "end"}
        )
        kinds = [frame["event"] for frame in await frames]
        state = await executions.get_workflow_execution_async(execution_id=execution_id)
        return {
            "frames": kinds,
            "updated": updated.result,
            "queried": queried.result,
            "result": state.result,
        }

    async def terminate(self) -> dict[str, object]:
        """Terminate an execution while its events are streamed."""
        execution_id = await self.start("official-talk", {"text": "hello"})
        frames = asyncio.create_task(self.frames(execution_id))
        executions = self.client.workflows.executions
        await executions.query_workflow_execution_async(  # it has started
            execution_id=execution_id, name="all", input={}
        )
        await executions.terminate_workflow_execution_async(execution_id=execution_id)
        return {"frames": await frames}

    async def fill_in(self) -> dict[str, object]:
        """Give an interactive execution the input that it waits for."""
        execution_id = await self.start("official-form", {"text": "name"})
        executions = self.client.workflows.executions
        frames = asyncio.create_task(self.frames(execution_id))
        pending: list[dict[str, object]] = []
        while not pending:
            queried = await executions.query_workflow_execution_async(
                execution_id=execution_id, name="__get_pending_inputs", input={}
            )
            pending = queried.result["pending_inputs"]
            await asyncio.sleep(PAUSE_SECONDS)
        await executions.update_workflow_execution_async(
            execution_id=execution_id,
            name="__submit_input",
            input={"task_id": pending[0]["task_id"], "input": {"text": "Ada"}},
        )
        kinds = [frame["event"] for frame in await frames]
        state = await executions.get_workflow_execution_async(execution_id=execution_id)
        return {"frames": kinds, "label": pending[0]["label"], "result": state.result}

    async def schedule(self) -> dict[str, object]:
        """Run a workflow by a schedule, at once."""
        schedules = self.client.workflows.schedules
        created = await schedules.schedule_workflow_async(
            schedule={"input": {"text": "hi"}, "cron_expressions": ["0 0 1 1 *"]},
            workflow_identifier="official-echo",
            deployment_name=self.deployment,
        )
        await schedules.trigger_schedule_async(schedule_id=created.schedule_id)
        found: list[dict[str, object]] = []
        while not found:
            await asyncio.sleep(PAUSE_SECONDS)
            found = [
                event
                for event in await self.events(limit=1000)
                if event["schedule_id"] == created.schedule_id
                and event["event_type"] == "WORKFLOW_EXECUTION_COMPLETED"
            ]
        await schedules.unschedule_workflow_async(schedule_id=created.schedule_id)
        return {"events": found}


async def scenario(session: Session) -> dict[str, object]:
    """Run everything once."""
    echo = await session.run("official-echo", {"text": "hi"})
    # One kept event, and one that happens while the stream is open.
    live = asyncio.create_task(session.live(["WORKFLOW_EXECUTION_COMPLETED"], 2))
    large = await session.run("official-echo", {"text": "x" * 300_000})
    parent = await session.run("official-parent", {"text": "hi"})
    frames = echo["frames"]
    assert isinstance(frames, list)
    return {
        "echo": echo,
        "large": large,
        "parent": parent,
        "tree": await session.events(root_workflow_exec_id=parent["execution_id"]),
        "live": await live,
        "rest": [
            await session.frames(str(echo["execution_id"]), last_event_id=frame["id"])
            for frame in frames
        ],
        "failure": await session.run("official-failure", {"text": "x"}),
        "task": await session.run("official-task", {"number": 5}),
        "countdown": await session.run("official-countdown", {"number": 2}),
        "talk": await session.talk(),
        "terminated": await session.terminate(),
        "form": await session.fill_in(),
        "schedule": await session.schedule(),
    }


async def own(session: Session) -> dict[str, object]:
    """Run what a worker of ours runs, too."""
    return {
        "echo": await session.run("official-echo", {"text": "hi"}),
        "large": await session.run("official-echo", {"text": "x" * 300_000}),
        "parent": await session.run("official-parent", {"text": "hi"}),
        "failure": await session.run("official-failure", {"text": "x"}),
        "task": await session.run("official-task", {"number": 5}),
        "countdown": await session.run("official-countdown", {"number": 2}),
    }


async def main() -> None:
    """Run the scenario, encrypted if there is a key."""
    deployment, *keys = sys.argv[1:]
    async with Mistral(
        api_key=os.environ["MISTRAL_API_KEY"], server_url=os.environ["SERVER_URL"]
    ) as client:
        session = Session(client, deployment)
        if keys:
            encryption = PayloadEncryptionConfig(mode=PayloadEncryptionMode.FULL, main_key=keys[0])
            await configure_workflow_encoding(
                WorkflowEncodingConfig(payload_encryption=encryption), client=client
            )
            told = {"echo": await session.run("official-echo", {"text": "hi"})}
        elif encoding := os.environ.get("CLIENT_ENCODING"):
            config = WorkflowEncodingConfig.model_validate_json(encoding)
            await configure_workflow_encoding(config, client=client)
            told = await own(session)
        else:
            told = await scenario(session)
    print(json.dumps(told))


if __name__ == "__main__":
    asyncio.run(asyncio.wait_for(main(), PATIENCE_SECONDS))
