"""Running a workflow class in this process, without Temporal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mistral_offload.errors import ConfigurationError
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.workflows.definitions import definition_of


async def run_directly(workflow: type | str, input: Any, members: Mapping[str, Any]) -> Any:
    """Run a workflow's entrypoint here and return its result.

    The input is written as JSON and read again, as between processes.

    Raises:
        ConfigurationError: the workflow is given by name, or is not decorated.
        TypeError: the input does not match the entrypoint's parameters.
        PayloadDecodeError: a value of the input does not match its parameter's type.
    """
    if isinstance(workflow, str):
        raise ConfigurationError(
            f"workflow {workflow!r} was given by name outside a workflow: pass its class to run it "
            "in this process, or start it with Mistral().workflows.execute_workflow"
        )
    definition = definition_of(workflow)
    entrypoint = definition.entrypoint
    value = entrypoint.input.write(input, members)
    args, kwargs = entrypoint.signature.call_arguments(entrypoint.input.read_json(dump_json(value)))
    return await entrypoint.method(workflow(), *args, **kwargs)
