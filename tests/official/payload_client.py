"""Runs workflows of ``payload_worker.py`` with the official client; prints what came back as JSON.

Argument: JSON with ``deployment``, ``encoding`` (an official ``WorkflowEncodingConfig``) and
``runs``, a list of ``[engine, workflow, input]``; engines are "official", "ours" and "ours-sync".
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
        size = int(value.removesuffix(" MB")) * 1_000_000
        return (line * (size // len(line) + 1))[:size]
    return value


def shown(value: Any) -> Any:
    """Return a result with digests in place of large texts."""
    if isinstance(value, dict):
        return {name: shown(item) for name, item in value.items()}
    if isinstance(value, str) and len(value) > 1000:
        return hashlib.sha256(value.encode()).hexdigest()
    return value


async def run(client: Mistral, deployment: str, workflow: str, given: Any) -> Any:
    """Run a workflow to its end."""
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
    while True:
        state = await executions.get_workflow_execution_async(execution_id=execution_id)
        if state.status != "RUNNING":
            break
        await asyncio.sleep(0.1)
    return {**told, "status": state.status, "result": shown(state.result)}


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


async def run_with(engine: str, config: WorkflowEncodingConfig, *given: Any) -> Any:
    """Run a workflow with one of the async engines."""
    async with connect() as client:
        if engine == "official":
            await configure_workflow_encoding(config, client=client)
        else:
            from mistral_offload.official import configure_async

            await configure_async(client, config)
        return await run(client, *given)


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
            work = run_with(engine, config, task["deployment"], *given)
            results.append(asyncio.run(asyncio.wait_for(work, PATIENCE_SECONDS)))
    return results


if __name__ == "__main__":
    print(json.dumps(main()))
