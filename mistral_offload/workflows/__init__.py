"""Write workflows and activities, and run them in a worker.

Example::

    import asyncio

    import mistral_offload.workflows as workflows


    class Transcript(workflows.OffloadableModel):
        title: str
        text: workflows.OffloadableField[str]


    @workflows.activity
    async def transcribe(url: str) -> Transcript:
        return Transcript(title=url, text=workflows.OffloadableField(value="a long text"))


    @workflows.activity
    async def count_words(transcript: Transcript) -> int:
        return len(transcript.text.get_value().split())


    @workflows.workflow.define(name="transcription")
    class Transcription:
        @workflows.workflow.entrypoint
        async def run(self, url: str) -> int:
            return await count_words(await transcribe(url))


    if __name__ == "__main__":
        asyncio.run(workflows.run_worker([Transcription]))
"""

from importlib.util import find_spec

from mistral_offload.errors import MissingExtraError

if find_spec("temporalio") is None or find_spec("pydantic_settings") is None:
    raise MissingExtraError("mistral_offload.workflows", "worker")

from temporalio.activity import heartbeat
from temporalio.activity import info as activity_info
from temporalio.activity import logger as activity_logger
from temporalio.common import RetryPolicy
from temporalio.exceptions import ActivityError, ApplicationError, ChildWorkflowError
from temporalio.workflow import ParentClosePolicy

from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.fields.field import OffloadableField, OffloadableModel
from mistral_offload.fields.interceptor import FieldInterceptor
from mistral_offload.fields.offloader import FieldOffloader
from mistral_offload.fields.restoration import Restoring
from mistral_offload.files.file import OffloadableFile
from mistral_offload.workflows import workflow
from mistral_offload.workflows.activities import Activity
from mistral_offload.workflows.activity_decorator import activity
from mistral_offload.workflows.child_calls import execute_workflow
from mistral_offload.workflows.children import ChildExecution, Workflow
from mistral_offload.workflows.context import activity_heartbeat, get_execution_id
from mistral_offload.workflows.local_activities import run_activities_locally
from mistral_offload.workflows.tasks import task, task_from
from mistral_offload.workflows.worker import WorkerOptions, run_worker
from mistral_offload.workflows.workflow_error import WorkflowError

__all__ = [
    "Activity",
    "ActivityError",
    "ApplicationError",
    "ChildExecution",
    "ChildWorkflowError",
    "FieldInterceptor",
    "FieldOffloader",
    "OffloadableField",
    "OffloadableFile",
    "OffloadableModel",
    "ParentClosePolicy",
    "Restoring",
    "RetryPolicy",
    "WorkerOptions",
    "WorkerSettings",
    "Workflow",
    "WorkflowError",
    "activity",
    "activity_heartbeat",
    "activity_info",
    "activity_logger",
    "execute_workflow",
    "get_execution_id",
    "heartbeat",
    "run_activities_locally",
    "run_worker",
    "task",
    "task_from",
    "workflow",
]
