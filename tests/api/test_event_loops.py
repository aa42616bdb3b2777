"""Every async public method under trio: one error of ours, which names the way."""

from __future__ import annotations

import inspect
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import pytest
import trio

from mistral_offload import Mistral
from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import EventLoopError, MistralOffloadError
from mistral_offload.storage import LocalStore
from mistral_offload.workflows import run_worker

# They wait for nothing while no connection is open.
HARMLESS = {"close_async"}


def async_methods(owner: object) -> Iterator[tuple[str, Callable[..., Any]]]:
    """Yield the public async methods of an object and of the parts of the API below it."""
    for name in dir(owner):
        if name.startswith("_"):
            continue
        member = getattr(owner, name)
        if name.endswith("_async") and callable(member):
            yield name, member
        elif type(member).__module__ == "mistral_offload.client.resources":
            yield from async_methods(member)


async def outcome(method: Callable[..., Any]) -> BaseException | None:
    """Return the exception of a call with as few arguments as possible."""
    needed = [
        parameter
        for parameter in inspect.signature(method).parameters.values()
        if parameter.default is parameter.empty
        and parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL)
    ]
    named = {p.name: argument_for(p.name) for p in needed if p.kind is p.KEYWORD_ONLY}
    others = [argument_for(p.name) for p in needed if p.kind is not p.KEYWORD_ONLY]
    try:
        made = method(*others, **named)
        if isinstance(made, Awaitable):
            await made
        else:
            async for _ in made:
                pass
    except BaseException as error:
        return error
    return None


def argument_for(name: str) -> Any:
    if name == "function":
        return lambda: None
    return {"data": b"", "keys": [], "schedule": {"input": {}}, "spec": {}}.get(name, "x")


def test_every_method_of_the_client(tmp_path: Any) -> None:
    storage = BlobStorageConfig(storage_provider="local", path=tmp_path)
    client = Mistral(
        "key",
        server_url="http://127.0.0.1:9",
        workflow_payload_offloading=PayloadOffloadingConfig(storage_config=storage),
    )
    methods = [*async_methods(client), *async_methods(client.workflows)]
    found = {name: trio.run(outcome, method) for name, method in methods}
    assert len(found) > 40
    wrong = {
        name: error
        for name, error in found.items()
        if not isinstance(error, EventLoopError) and name not in HARMLESS
    }
    assert not wrong
    assert found["close_async"] is None
    error = found["execute_workflow_async"]
    assert isinstance(error, MistralOffloadError)
    assert "await trio.to_thread.run_sync(client.workflows.execute_workflow, …)" in str(error)


def test_every_method_of_a_store(tmp_path: Any) -> None:
    store = LocalStore(tmp_path)
    found = {name: trio.run(outcome, method) for name, method in async_methods(store)}
    assert len(found) > 7
    assert all(isinstance(error, EventLoopError) for error in found.values()), found

    async def enter() -> None:
        async with store:
            pass

    with pytest.raises(EventLoopError, match="trio"):
        trio.run(enter)
    assert trio.run(trio.to_thread.run_sync, store.put, "k", b"x")


def test_a_client_closes_at_the_end_of_a_block_under_trio() -> None:
    async def use() -> None:
        async with Mistral("key", server_url="http://127.0.0.1:9") as client:
            await client.workflows.execute_workflow_async("w", input={})

    with pytest.raises(EventLoopError):
        trio.run(use)


def test_a_worker() -> None:
    with pytest.raises(EventLoopError, match=r"asyncio\.run"):
        trio.run(run_worker, [])
