"""The environment of a worker process: settings, the platform's REST API, and Temporal."""

from importlib.util import find_spec

from mistral_offload.errors import MissingExtraError

if find_spec("temporalio") is None or find_spec("pydantic_settings") is None:
    raise MissingExtraError("a worker's environment", "worker")
