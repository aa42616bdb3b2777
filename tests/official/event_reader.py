"""Lists events with the official client in several modes; prints the values that it returns.

Argument: JSON, by mode, with ``url`` of a platform and ``encoding``, an official
``WorkflowEncodingConfig``.
"""

import asyncio
import json
import sys
from typing import Any

from mistralai.client import Mistral
from mistralai.extra.workflows.encoding import WorkflowEncodingConfig, configure_workflow_encoding


async def read(url: str, encoding: Any) -> list[Any]:
    """Return the values of the events, or the error of the call."""
    async with Mistral(api_key="key", server_url=url) as client:
        config = WorkflowEncodingConfig.model_validate(encoding)
        await configure_workflow_encoding(config, client=client, namespace="acme")
        try:
            page = await client.workflows.events.get_workflow_events_async(workflow_exec_id="e-1")
        except Exception as error:
            return [type(error).__name__]
    found: list[Any] = []
    for event in page.events:
        attributes = json.loads(event.attributes.model_dump_json())
        found.append((attributes.get("input") or attributes.get("payload"))["value"])
    return found


async def main() -> dict[str, Any]:
    """Read in all modes."""
    modes = json.loads(sys.argv[1])
    return {name: await read(mode["url"], mode["encoding"]) for name, mode in modes.items()}


if __name__ == "__main__":
    print(json.dumps(asyncio.run(asyncio.wait_for(main(), 110))))
