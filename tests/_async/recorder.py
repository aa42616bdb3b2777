"""An HTTP transport with scripted responses that records the requests."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import httpx
from httpx import AsyncClient

from mistral_offload import Mistral

ScriptedResponse = httpx.Response | Exception | Callable[[httpx.Request], httpx.Response]


class Recording:
    """Responds to requests from a list, repeating the last response."""

    def __init__(self, responses: Iterable[ScriptedResponse]) -> None:
        self.requests: list[httpx.Request] = []
        self._responses = list(responses)

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        response = self._responses.pop(0) if len(self._responses) > 1 else self._responses[0]
        if isinstance(response, Exception):
            raise response
        if callable(response):
            return response(request)
        return response


def make_client(recording: Recording, **settings: Any) -> Mistral:
    """Return a client whose requests go to the recording."""
    return Mistral(
        **{"api_key": "test-key", **settings},
        async_client=AsyncClient(transport=httpx.MockTransport(recording)),
    )


def execution(
    status: str | None = "COMPLETED", result: Any = None, **members: Any
) -> dict[str, Any]:
    """Return the body that describes an execution."""
    return {
        "workflow_name": "w",
        "execution_id": "e-1",
        "root_execution_id": "e-1",
        "status": status,
        "start_time": "2026-01-02T03:04:05Z",
        "end_time": None,
        "result": result,
        **members,
    }
