"""Calls operations by their names in the recorded cases."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from functools import reduce
from typing import Any

import httpx

from mistral_offload import Mistral
from tests.vectors import b64, load


async def call_async(client: Mistral, operation: str, arguments: Mapping[str, Any]) -> Any:
    """Call an operation in the form that this function has."""
    # The generator renames only this function, so its name tells sync from async.
    suffix = call_async.__name__.removeprefix("call")
    method = reduce(getattr, f"{operation}{suffix}".split("."), client)
    return await method(**{name: given(value) for name, value in arguments.items()})


def given(value: Any) -> Any:
    """Return an argument; datetimes are marked in the recorded cases."""
    if isinstance(value, dict):
        if "$datetime" in value:
            return datetime.fromisoformat(value["$datetime"].replace("Z", "+00:00"))
        return {name: given(item) for name, item in value.items()}
    return [given(item) for item in value] if isinstance(value, list) else value


def recorded(response: Mapping[str, Any]) -> httpx.Response:
    """Build an HTTP response from a recorded one."""
    kind = response.get("content_type")
    headers = {**response.get("headers", {}), **({"content-type": kind} if kind else {})}
    if "body" in response:
        body = httpx.Response(200, json=response["body"]).content
    else:
        body = b64(response.get("body_b64", "")) or response.get("body_text", "").encode()
    return httpx.Response(response["status"], content=body, headers=headers)


def response_to(operation: str) -> httpx.Response:
    """Return a valid response for an operation."""
    for case in load("rest_responses"):
        if case["operation"] == operation and "error" not in case["expected"]:
            return recorded(case["response"])
    return httpx.Response(200, headers={"content-type": "text/event-stream"})
