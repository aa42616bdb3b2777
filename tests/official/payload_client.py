"""Runs workflows of ``payload_worker.py`` with the official client; prints what came back as JSON.

Argument: JSON with ``deployment``, ``encoding`` (an official ``WorkflowEncodingConfig``),
``runs``, a list of ``[engine, workflow, input]``, and ``events``, True to read the events as well;
engines are "official", "ours" and "ours-sync".
A text of the form "8 MB" in an input stands for so many characters.
"""

import asyncio
import hashlib
import json
import os
import sys
import uuid
from typing import Any

from mistralai.client import Mistral
from mistralai.extra.workflows.encoding import WorkflowEncodingConfig, configure_workflow_encoding

PATIENCE_SECONDS = 110


def enlarged(value: Any) -> Any:
    """Return the input with large texts in it."""
    if isinstance(value, dict):
        return {name: enlarged(item) for name, item in value.items()}
    if isinstance(value, str) and value.endswith(" MB"):
        line = "mistral-offload é\n"
        size = int(float(value.removesuffix(" MB")) * 1_000_000)
        return (line * (size // len(line) + 1))[:size]
    return value


def shown(value: Any) -> Any:
    """Return a result with digests in place of large texts."""
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shown(item) for item in value]
    if isinstance(value, str) and len(value) > 1000:
        return hashlib.sha256(value.encode()).hexdigest()
    return value


async def run(client: Mistral, deployment: str, workflow: str, given: Any) -> Any:
    """Run a workflow to its end; "scheduled large-echo" is run by a schedule."""
    if workflow.startswith("scheduled "):
        return await run_scheduled(client, deployment, workflow.split()[1], given)
    execution_id = uuid.uuid4().hex
    sent = enlarged(given)
    await client.workflows.execute_workflow_async(
        workflow_identifier=workflow,
        input=sent,
        execution_id=execution_id,
        deployment_name=deployment,
    )
    executions = client.workflows.executions
    told: dict[str, Any] = {"execution_id": execution_id, "sent": shown(sent)}
    if workflow == "large-talk":
        await executions.signal_workflow_execution_async(
            execution_id=execution_id, name="say", input=sent
        )
        query = await executions.query_workflow_execution_async(
            execution_id=execution_id, name="repeat", input=sent
        )
        update = await executions.update_workflow_execution_async(
            execution_id=execution_id, name="ask", input=sent
        )
        told |= {"queried": shown(query.result), "updated": shown(update.result)}
    state = await ended(client, execution_id)
    return {**told, "status": state.status, "result": shown(state.result)}


async def run_scheduled(client: Mistral, deployment: str, workflow: str, given: Any) -> Any:
    """Let a schedule run a workflow, and wait for its end."""
    schedules = client.workflows.schedules
    sent = enlarged(given)
    schedule_id = uuid.uuid4().hex
    await schedules.schedule_workflow_async(
        schedule={"input": sent, "schedule_id": schedule_id, "cron_expressions": ["0 0 1 1 *"]},
        workflow_identifier=workflow,
        deployment_name=deployment,
    )
    await schedules.trigger_schedule_async(schedule_id=schedule_id)
    recent: list[Any] = []
    while not recent:
        recent = (await schedules.get_schedule_async(schedule_id=schedule_id)).recent_executions
    await schedules.unschedule_workflow_async(schedule_id=schedule_id)
    state = await ended(client, recent[0].execution_id)
    return {
        "execution_id": recent[0].execution_id,
        "sent": shown(sent),
        "status": state.status,
        "result": shown(state.result),
    }


async def ended(client: Mistral, execution_id: str) -> Any:
    """Wait for the end of an execution."""
    while True:
        state = await client.workflows.executions.get_workflow_execution_async(
            execution_id=execution_id
        )
        if state.status != "RUNNING":
            return state
        await asyncio.sleep(0.1)


async def events(client: Mistral, execution_id: str) -> dict[str, Any]:
    """Return the values of an execution's events, from its stream and from the list."""
    stream = await client.workflows.executions.stream_async(execution_id=execution_id)
    async with stream:
        frames = [frame.data.data async for frame in stream]
    page = await client.workflows.events.get_workflow_events_async(workflow_exec_id=execution_id)
    return {
        "frames": [values_of(event) for event in frames],
        "events": [values_of(event) for event in page.events],
    }


def values_of(event: Any) -> tuple[str, Any]:
    """Return the type of an event with its activity, and its value."""
    attributes = json.loads(event.attributes.model_dump_json())
    payload = attributes.get("input") or attributes.get("result")
    name = attributes.get("activity_name", "")
    return f"{event.event_type} {name}".rstrip(), shown(payload["value"])


def run_sync(client: Mistral, deployment: str, workflow: str, given: Any) -> Any:
    """Run a workflow to its end, with the client's sync methods."""
    sent = enlarged(given)
    result = client.workflows.execute_workflow(
        workflow_identifier=workflow,
        input=sent,
        deployment_name=deployment,
        wait_for_result=True,
    ).result
    return {"sent": shown(sent), "result": shown(result)}


def connect() -> Mistral:
    """Return a new client of the platform."""
    return Mistral(api_key=os.environ["MISTRAL_API_KEY"], server_url=os.environ["SERVER_URL"])


async def run_with(
    engine: str, config: WorkflowEncodingConfig, *given: Any, with_events: bool
) -> Any:
    """Run a workflow with one of the async engines, and read its events."""
    async with connect() as client:
        if engine == "official":
            await configure_workflow_encoding(config, client=client)
        else:
            from mistral_offload.official import configure_async

            await configure_async(client, config)
        done = await run(client, *given)
        if with_events:
            done |= await events(client, done["execution_id"])
        return done


def run_sync_with(config: WorkflowEncodingConfig, *given: Any) -> Any:
    """Run a workflow without an event loop."""
    from mistral_offload.official import configure

    with connect() as client:
        configure(client, config)
        return run_sync(client, *given)


def main() -> list[Any]:
    """Run what the argument says."""
    task = json.loads(sys.argv[1])
    config = WorkflowEncodingConfig.model_validate(task["encoding"])
    results: list[Any] = []
    for engine, *given in task["runs"]:
        if engine == "ours-sync":
            results.append(run_sync_with(config, task["deployment"], *given))
        else:
            work = run_with(engine, config, task["deployment"], *given, with_events=task["events"])
            results.append(asyncio.run(asyncio.wait_for(work, PATIENCE_SECONDS)))
    return results


if __name__ == "__main__":
    print(json.dumps(main()))
