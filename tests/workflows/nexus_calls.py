"""A workflow that calls Nexus operations and an asynchronous activity; imported by the sandbox."""

from __future__ import annotations

from datetime import timedelta

import temporalio.activity
import temporalio.workflow

import mistral_offload.workflows as workflows
from mistral_offload.workflows import workflow
from tests.temporal.nexus_service import Texts

tokens: list[bytes] = []
"""Task tokens of the activities that wait for their completion."""


@workflows.activity()
async def completed_later() -> str:
    tokens.append(temporalio.activity.info().task_token)
    temporalio.activity.raise_complete_async()


@workflow.define(name="nexus-calls")
class NexusCalls:
    @workflow.entrypoint
    async def run(self, endpoint: str, size: int) -> int:
        client = temporalio.workflow.create_nexus_client(service=Texts, endpoint=endpoint)
        total = 0
        for operation in (Texts.double, Texts.double_by_workflow):
            result = await client.execute_operation(
                operation, "x" * size, schedule_to_close_timeout=timedelta(seconds=40)
            )
            total += len(result)
        return total + len(await completed_later())
