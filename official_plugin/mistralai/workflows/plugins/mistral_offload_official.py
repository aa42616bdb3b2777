"""Plugin of the official worker, which calls `get_worker_interceptors` when it starts.

It contributes no interceptor: the call is where this process learns that it is a worker.
"""

import logging
from typing import Any


def get_worker_interceptors(workflows: list[Any]) -> list[Any]:
    """Put mistral-offload's engine into this worker; never raises."""
    try:
        from mistral_offload.official.worker import install

        install()
    except Exception as error:
        logging.getLogger(__name__).warning(
            "mistral-offload-official is installed, but the official SDK moves the payloads of "
            "this worker: %s: %s",
            type(error).__name__,
            error,
        )
    return []
