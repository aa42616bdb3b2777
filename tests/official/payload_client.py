"""Runs workflows of ``payload_worker.py`` with the official client; prints what came back as JSON.

Argument: JSON with ``deployment``, ``engine`` ("official", "ours" or "ours-sync"), ``encoding``
(an official ``WorkflowEncodingConfig``) and ``runs``, a list of ``[workflow, input]``.
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

PATIENCE_SECONDS = 50


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


async def main() -> list[Any]:
    """Run what the argument says."""
    task = json.loads(sys.argv[1])
    config = WorkflowEncodingConfig.model_validate(task["encoding"])
    key, url = os.environ["MISTRAL_API_KEY"], os.environ["SERVER_URL"]
    async with Mistral(api_key=key, server_url=url) as client:
        if task["engine"] == "official":
            await configure_workflow_encoding(config, client=client)
        else:
            from mistral_offload.official import configure_async

            await configure_async(client, config)
        return [await run(client, task["deployment"], *each) for each in task["runs"]]


def main_sync() -> list[Any]:
    """Run what the argument says, without an event loop."""
    from mistral_offload.official import configure

    task = json.loads(sys.argv[1])
    config = WorkflowEncodingConfig.model_validate(task["encoding"])
    key, url = os.environ["MISTRAL_API_KEY"], os.environ["SERVER_URL"]
    with Mistral(api_key=key, server_url=url) as client:
        configure(client, config)
        return [run_sync(client, task["deployment"], *each) for each in task["runs"]]


if __name__ == "__main__":
    if json.loads(sys.argv[1])["engine"] == "ours-sync":
        print(json.dumps(main_sync()))
    else:
        print(json.dumps(asyncio.run(asyncio.wait_for(main(), PATIENCE_SECONDS))))
