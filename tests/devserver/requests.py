"""Requests that several tests send to the platform."""

import base64
import uuid
from typing import Any

import httpx

from tests.bounds import until


def execute(workflow: str) -> str:
    return f"/v1/workflows/{workflow}/execute"


def execution(execution_id: str) -> str:
    return f"/v1/workflows/executions/{execution_id}"


def new_id() -> str:
    return uuid.uuid4().hex


def envelope(data: bytes, *options: str, **members: Any) -> dict[str, Any]:
    encoded = base64.b64encode(data).decode()
    return {"b64payload": encoded, "encoding_options": list(options), **members}


async def start(api: httpx.AsyncClient, workflow: str, **members: Any) -> str:
    """Start an execution and return its id."""
    response = await api.post(execute(workflow), json=members)
    assert response.status_code == 200, response.text
    execution_id: str = response.json()["execution_id"]
    return execution_id


async def run(api: httpx.AsyncClient, workflow: str, **members: Any) -> Any:
    """Run an execution and return its result."""
    response = await api.post(execute(workflow), json={"wait_for_result": True, **members})
    assert response.status_code == 200, response.text
    return response.json()["result"]


async def until_ended(api: httpx.AsyncClient, execution_id: str) -> dict[str, Any]:
    """Wait for an execution to end; return its state."""
    answer: dict[str, Any] = {}

    async def has_ended() -> bool:
        answer.update((await api.get(execution(execution_id))).json())
        return bool(answer["status"] != "RUNNING")

    await until(has_ended)
    return answer
