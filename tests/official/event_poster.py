"""Posts events through the official code with references, in several modes.

Argument: JSON, by mode, with ``encoding`` (an official ``WorkflowEncodingConfig``), ``variables``
and the ``texts`` of values. Prints, by mode, what would be ``posted``, and what was logged.
"""

import asyncio
import json
import os
import sys
from typing import Any
from unittest.mock import patch

from mistralai.extra.workflows.encoding.config import WorkflowEncodingConfig
from mistralai.extra.workflows.encoding.payload_encoder import PayloadEncoder as OfficialEncoder
from mistralai.workflows.core._events import event_context
from mistralai.workflows.protocol.v1 import events as models
from pydantic import BaseModel
from seams import logged

from mistral_offload.official.configuration import compression_of, encryption_of, offloading_of
from mistral_offload.official.events import replace_encoding_async, restore_encoding
from mistral_offload.payload.encoder import PayloadEncoder


class Recorder:
    """Keeps what is posted."""

    def __init__(self) -> None:
        self.posted: list[Any] = []

    async def send_event_async(self, *, event: Any) -> None:
        """Keep an event."""
        self.posted.append(event)

    async def send_events_batch_async(self, *, events: list[Any]) -> None:
        """Keep several events."""
        self.posted += events


class Marked(BaseModel):
    """A value as workflows have it, not JSON."""

    text: str
    secret: dict[str, str]


def events(texts: list[str]) -> list[Any]:
    """Make events of all kinds of values; the first text is a large one."""
    secret = {"field_type": "__encrypted_str__", "data": "hush"}
    common = {
        "root_workflow_exec_id": "e-1",
        "parent_workflow_exec_id": None,
        "workflow_exec_id": "e-1",
        "workflow_run_id": "r-1",
        "workflow_name": "w",
    }
    made: list[Any] = []
    for text in texts:
        value = [Marked(text=text, secret=secret)]
        made.append(
            models.ActivityTaskStarted(
                event_id=f"event-{len(made)}",
                **common,
                attributes=models.ActivityTaskStartedAttributes(
                    task_id="2", activity_name="a", input=models.JSONPayload(value=value)
                ),
            )
        )
    secret_patch = ("/secret/data", "hush", "replace")
    for patches, paths in (
        ([("/text", texts[0], "append")], []),
        ([("/text", texts[0], "add"), secret_patch], ["/secret/data"]),
    ):
        payload = models.JSONPatchPayload(
            value=[models.json_patch(op, path, value) for path, value, op in patches]
        )
        payload._encrypted_paths = set(paths)
        made.append(
            models.CustomTaskInProgress(
                event_id=f"event-{len(made)}",
                **common,
                attributes=models.CustomTaskInProgressAttributes(
                    custom_task_id="t", custom_task_type="k", payload=payload
                ),
            )
        )
    return made


async def post(encoding: Any, texts: list[str]) -> list[Any]:
    """Post all events, as activities and as custom tasks do."""
    config = WorkflowEncodingConfig.model_validate(encoding)
    engine = PayloadEncoder(
        offloading_of(config.payload_offloading),
        encryption=encryption_of(config.payload_encryption),
        compression=compression_of(config.payload_compression),
    )
    await replace_encoding_async(engine, lambda: "acme")
    recorder = Recorder()
    official = OfficialEncoder(
        encoding_config=WorkflowEncodingConfig(payload_encryption=config.payload_encryption)
    )
    context = event_context.EventContext(recorder, payload_encoder=official)
    context._token = recorder
    background = event_context.BackgroundEventPublisher(context)
    for event in events(texts):
        if event.event_type == "CUSTOM_TASK_IN_PROGRESS":
            background.publish_event_background(event)
        else:
            await context.publish_event(event)
    await background.drain()
    await background.shutdown()
    restore_encoding()
    return recorder.posted


async def main() -> dict[str, Any]:
    """Post in all modes."""
    posted: dict[str, Any] = {}
    for name, mode in json.loads(sys.argv[1]).items():
        with patch.dict(os.environ, mode["variables"]), logged() as lines:
            events = await post(mode["encoding"], mode["texts"])
        posted[name] = {"posted": events, "lines": lines}
    return posted


if __name__ == "__main__":
    print(json.dumps(asyncio.run(main())))
