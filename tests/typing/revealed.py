"""Types as an editor shows them, each in a comment after it. Checked by pyright, never run."""

# pyright: strict

from __future__ import annotations

from pydantic import BaseModel
from typing_extensions import reveal_type

import mistral_offload.workflows as workflows
from mistral_offload import Mistral
from mistral_offload.workflows import workflow


class Document(BaseModel):
    pages: list[str]


@workflows.activity
async def clean(document: Document, *, deeply: bool = False) -> Document:
    return document


@workflows.activity(name="count")
def count(document: Document) -> int:  # runs in a thread
    return len(document.pages)


@workflow.define(name="prepare")
class Prepare:
    @workflow.entrypoint
    async def run(self, document: Document) -> Document:
        reveal_type(clean)  # Activity[(document: Document, *, deeply: bool = False), Document]
        pending = reveal_type(clean(document))  # Coroutine[Any, Any, Document]
        reveal_type(await pending)  # Document
        reveal_type(await count(document))  # int
        reveal_type(await clean.with_options(local=True)(document))  # Document
        return await clean(document)


@workflow.define
class Other:
    @workflow.entrypoint
    async def start(self, document: Document) -> Document:
        execute, start = workflows.execute_workflow, workflow.start_workflow
        reveal_type(await execute(Prepare, document))  # Document
        reveal_type(await execute(workflow=Prepare, params=document))  # Document
        reveal_type(await execute(Prepare, document, wait=False))  # ChildExecution[Document]
        reveal_type(await execute("prepare", document, result_type=Document))  # Document
        reveal_type(await execute(Other, document, result_type=Document))  # Document
        child = await execute("prepare", wait=False, result_type=list[int])
        reveal_type(child)  # ChildExecution[list[int]]
        reveal_type(await execute("prepare", document))  # Any
        reveal_type(await execute("prepare", document, wait=False))  # ChildExecution[Any]
        reveal_type(await start(Prepare, document))  # ChildExecution[Document]
        reveal_type(await start("prepare", document, result_type=int))  # ChildExecution[int]
        reveal_type(await started_by_class(Prepare, document))  # Document
        return document


async def started_by_class(
    kind: type[workflows.Workflow[Document]], document: Document
) -> Document:
    return await workflows.execute_workflow(kind, document)


def results(client: Mistral, waits: bool) -> None:
    calls, executions = client.workflows, client.workflows.executions
    reveal_type(calls.execute_workflow("w"))  # WorkflowExecutionResponse[Any]
    ended = calls.execute_workflow("w", wait_for_result=True, result_type=Document)
    reveal_type(ended)  # WorkflowExecutionSyncResponse[Document]
    reveal_type(ended.result.pages)  # list[str]
    anything = calls.execute_workflow("w", wait_for_result=True)
    reveal_type(anything)  # WorkflowExecutionSyncResponse[Any]
    either = calls.execute_workflow("w", wait_for_result=waits)
    reveal_type(either.execution_id)  # str
    reveal_type(calls.execute_workflow_and_wait("w", result_type=Document))  # Document
    reveal_type(calls.execute_workflow_and_wait("w", result_type=list[int]))  # list[int]
    reveal_type(calls.execute_workflow_and_wait("w", result_type=Document | None))  # Any
    reveal_type(calls.wait_for_workflow_completion("e").result)  # Any
    waited = calls.wait_for_workflow_completion("e", result_type=Document)
    reveal_type(waited.result)  # Document
    reveal_type(waited.status)  # ExecutionStatus | None
    found = executions.get_workflow_execution("e", result_type=Document)
    reveal_type(found.result)  # Document | None
    reveal_type(calls.runs.get_run("r", result_type=Document).result)  # Document | None
    query = executions.query_workflow_execution("e", name="q", result_type=int)
    reveal_type(query.result)  # int
    update = executions.update_workflow_execution("e", name="u", result_type=int)
    reveal_type(update.result)  # int


async def awaited(client: Mistral) -> None:
    calls, executions = client.workflows, client.workflows.executions
    started = await calls.execute_workflow_async("w")
    reveal_type(started)  # WorkflowExecutionResponse[Any]
    result = await calls.execute_workflow_and_wait_async("w", result_type=Document)
    reveal_type(result)  # Document
    waited = await calls.wait_for_workflow_completion_async("e", result_type=Document)
    reveal_type(waited.result)  # Document
    query = await executions.query_workflow_execution_async("e", name="q", result_type=int)
    reveal_type(query.result)  # int
