"""Import path of the official SDK: custom tasks."""

from mistral_offload.events.custom_tasks import Task
from mistral_offload.workflows.tasks import (
    StatefulTaskProtocol,
    StatelessTaskProtocol,
    task,
    task_from,
)

__all__ = ["StatefulTaskProtocol", "StatelessTaskProtocol", "Task", "task", "task_from"]
