"""Starts the workflow and prints its text while the worker writes it."""

import os

from mistral_offload import Mistral

with Mistral(server_url=os.environ["SERVER_URL"]) as client:
    started = client.workflows.execute_workflow("write-pages", input={"pages": 2})
    with client.workflows.executions.stream(started.execution_id) as stream:
        for frame in stream:
            event = frame.data.data if frame.data else None
            if event is None or event.event_type != "CUSTOM_TASK_IN_PROGRESS":
                continue
            for patch in event.attributes.payload.value:
                if patch.path == "/text":
                    print(patch.value, end="", flush=True)  # what the text has grown by
                elif patch.path == "/page":
                    print(f"(page {patch.value})")
                else:
                    print(f"{event.attributes.custom_task_type}: {patch.value}")
