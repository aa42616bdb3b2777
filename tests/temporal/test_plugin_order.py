"""Other plugins that replace what the plugin has configured: refused, with the order to use."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, ClientConfig
from temporalio.contrib.pydantic import PydanticPayloadConverter, pydantic_data_converter
from temporalio.converter import (
    CompositePayloadConverter,
    DataConverter,
    DefaultFailureConverter,
    DefaultPayloadConverter,
    JSONPlainPayloadConverter,
    PayloadConverter,
)
from temporalio.exceptions import ApplicationError
from temporalio.plugin import SimplePlugin
from temporalio.worker import Replayer, ReplayerConfig, Worker, WorkerConfig
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from mistral_offload.errors import ConfigurationError
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadPlugin
from tests.bounds import within
from tests.temporal.heavy import ACTIVITIES, WORKFLOWS, Kinds
from tests.temporal.plain_worker import encoder_for, refused_tasks
from tests.temporal_bounds import connect, result_of, running

SIZE = 3_000_000


class Other(SimplePlugin):
    """Changes configurations by functions."""

    def __init__(
        self,
        *,
        client: Callable[[Any], Any] = dict,
        worker: Callable[[Any], Any] = dict,
        replayer: Callable[[Any], Any] = dict,
    ) -> None:
        super().__init__("example.Other")
        self._client, self._worker, self._replayer = client, worker, replayer

    def configure_client(self, config: ClientConfig) -> ClientConfig:
        return ClientConfig(**self._client(config))

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        return WorkerConfig(**self._worker(config))

    def configure_replayer(self, config: ReplayerConfig) -> ReplayerConfig:
        return ReplayerConfig(**self._replayer(config))


def ours() -> OffloadPlugin:
    return OffloadPlugin(encoder=encoder_for(MemoryStore()))


def changed(**parts: Any) -> Callable[[Any], Any]:
    """Return a function that changes parts of a configuration's data converter."""

    def change(config: Any) -> Any:
        return {**config, "data_converter": replace(config["data_converter"], **parts)}

    return change


def with_(**members: Any) -> Callable[[Any], Any]:
    return lambda config: {**config, **members}


async def start(client: Client, task_queue: str, kind: str = "activity", more: str = "") -> Any:
    return await client.start_workflow(
        Kinds.run, args=[kind, SIZE, more], id=f"order-{uuid4().hex[:8]}", task_queue=task_queue
    )


REPLACED = {
    "converter": with_(data_converter=pydantic_data_converter),
    "default converter": with_(data_converter=DataConverter.default),
    "codec": changed(payload_codec=None),
    "values": changed(payload_converter_class=PydanticPayloadConverter),
    "failures": changed(failure_converter_class=DefaultFailureConverter),
}


@pytest.mark.parametrize("how", REPLACED)
async def test_a_client_refuses_every_call(temporal_target: str, how: str) -> None:
    client = await connect(temporal_target, plugins=[ours(), Other(client=REPLACED[how])])
    order = r"'example\.Other', which is listed after .*plugins=\['example\.Other', OffloadPlugin"
    with pytest.raises(ConfigurationError, match=order):
        await start(client, "q")
    with pytest.raises(ConfigurationError, match=order):
        await client.get_workflow_handle("w").query("q")
    with pytest.raises(ConfigurationError, match=order):
        [_ async for _ in client.list_workflows()]
    with pytest.raises(ConfigurationError, match=order):
        await client.get_async_activity_handle(task_token=b"t").complete(1)
    with pytest.raises(ConfigurationError, match="List OffloadPlugin last"):
        Worker(client, task_queue="q", workflows=WORKFLOWS)


@pytest.mark.parametrize("how", [*REPLACED, "interceptors"])
async def test_the_documented_order_works(temporal_target: str, how: str) -> None:
    change = REPLACED.get(how, with_(interceptors=[]))
    store = MemoryStore()
    plugin = OffloadPlugin(encoder=encoder_for(store))
    client = await Client.connect(temporal_target, plugins=[Other(client=change), plugin])
    async with running(
        Worker(client, task_queue=uuid4().hex, workflows=WORKFLOWS, activities=ACTIVITIES)
    ) as worker:
        handle = await start(client, worker.task_queue)
        assert await result_of(handle) == SIZE
        assert await refused_tasks(handle) == []
    assert list(store.list(""))


async def test_the_culprit_is_found_among_several(temporal_target: str) -> None:
    harmless = SimplePlugin("example.Harmless")
    plugins = [harmless, ours(), harmless, Other(client=REPLACED["codec"]), harmless]
    client = await connect(temporal_target, plugins=plugins)
    with pytest.raises(ConfigurationError, match="Other") as caught:
        await start(client, "q")
    assert "Harmless" not in str(caught.value)


async def test_a_culprit_that_works_only_once(temporal_target: str) -> None:
    calls: list[int] = []

    def once(config: Any) -> Any:
        calls.append(1)
        assert len(calls) == 1
        return {**config, "data_converter": pydantic_data_converter}

    plugins = [ours(), SimplePlugin("example.Harmless"), Other(client=once)]
    client = await connect(temporal_target, plugins=plugins)
    with pytest.raises(ConfigurationError, match=r"one of .*'example\.Harmless', 'example\.Other'"):
        await start(client, "q")


async def test_a_client_without_its_guard_is_reported(
    temporal_target: str, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing of ours is left in such a client; workers refuse it."""
    other = Other(client=with_(data_converter=pydantic_data_converter, interceptors=[]))
    client = await Client.connect(temporal_target, plugins=[ours(), other])
    await client.service_client.check_health()
    assert "the plugin 'example.Other', which is listed after OffloadPlugin" in caplog.text
    assert [each.levelno for each in caplog.records] == [logging.ERROR]
    with pytest.raises(ConfigurationError, match="List OffloadPlugin last"):
        Worker(client, task_queue="q", workflows=WORKFLOWS)


async def test_copies_of_a_client(temporal_target: str) -> None:
    client = await connect(temporal_target, plugins=[ours()])
    queue = uuid4().hex
    large = "x" * SIZE
    given, active = client.config(), client.config(active_config=True)
    for config in (
        given,
        active,
        {**given, "data_converter": pydantic_data_converter},
        {**active, "data_converter": pydantic_data_converter},
        {**active, "interceptors": []},
        {**active, "plugins": []},
    ):
        handle = await start(Client(**config), queue, "argument", large)
        await handle.terminate()
    part = replace(active["data_converter"], payload_converter_class=DefaultPayloadConverter)
    with pytest.raises(ConfigurationError, match="payload_converter_class was replaced"):
        Client(**{**active, "data_converter": part})
    copy = Client(**{**active, "plugins": [], "data_converter": pydantic_data_converter})
    with pytest.raises(ConfigurationError, match="changed after OffloadPlugin"):
        await start(copy, queue, "argument", large)
    with pytest.raises(ConfigurationError, match="has parts of mistral_offload"):
        Client(**{**active, "plugins": [ours()]})
    with pytest.raises(ConfigurationError, match="has parts of mistral_offload"):
        await connect(temporal_target, plugins=[ours(), ours()])


def plain_client(config: Any) -> Any:
    settings = config["client"].config(active_config=True)
    changes = {"data_converter": pydantic_data_converter, "interceptors": [], "plugins": []}
    return {**config, "client": Client(**{**settings, **changes})}


def without_transfers(config: Any) -> Any:
    settings = config["client"].config(active_config=True)
    return {**config, "client": Client(**{**settings, "interceptors": []})}


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (with_(interceptors=[]), "interceptors"),
        (with_(workflow_runner=SandboxedWorkflowRunner()), "workflow_runner"),
        (plain_client, "payload_codec"),
        (without_transfers, "interceptors of the worker's client"),
    ],
)
async def test_a_worker_does_not_run(temporal_target: str, change: Any, part: str) -> None:
    client = await connect(temporal_target, plugins=[ours(), Other(worker=change)])
    queue = uuid4().hex
    worker = Worker(client, task_queue=queue, workflows=WORKFLOWS, activities=ACTIVITIES)
    with pytest.raises(ConfigurationError, match=rf"example\.Other.*{part}.*List OffloadPlugin"):
        await within(worker.run())
    await within(worker.shutdown())
    worker = Worker(client, task_queue=uuid4().hex, workflows=WORKFLOWS, activities=ACTIVITIES)
    with pytest.raises(ConfigurationError, match="List OffloadPlugin last"):
        async with running(worker):
            await within(asyncio.Event().wait())
    client = await connect(temporal_target, plugins=[Other(worker=change), ours()])
    if change is plain_client:
        return  # our plugin gets a client that is not its own
    worker = Worker(client, task_queue=queue, workflows=WORKFLOWS, activities=ACTIVITIES)
    async with running(worker):
        assert await result_of(await start(client, queue)) == SIZE


@pytest.mark.parametrize(
    ("change", "part"),
    [
        (with_(data_converter=pydantic_data_converter), "payload_codec"),
        (changed(payload_codec=None), "payload_codec"),
        (with_(interceptors=[]), "interceptors"),
        (with_(workflow_runner=SandboxedWorkflowRunner()), "workflow_runner"),
    ],
)
async def test_a_replayer_does_not_replay(temporal_target: str, change: Any, part: str) -> None:
    plugin = ours()
    client = await connect(temporal_target, plugins=[plugin])
    queue = uuid4().hex
    async with running(
        Worker(client, task_queue=queue, workflows=WORKFLOWS, activities=ACTIVITIES)
    ):
        handle = await start(client, queue)
        assert await result_of(handle) == SIZE
    history = await handle.fetch_history()
    other = Other(replayer=change)
    replayer = Replayer(workflows=WORKFLOWS, plugins=[plugin, other])
    with pytest.raises(ConfigurationError, match=rf"example\.Other.*{part}.*List OffloadPlugin"):
        await within(replayer.replay_workflow(history))
    replayer = Replayer(workflows=WORKFLOWS, plugins=[other, plugin])
    assert (await within(replayer.replay_workflow(history))).replay_failure is None


class SpelledConverter(CompositePayloadConverter):
    def __init__(self) -> None:
        super().__init__(JSONPlainPayloadConverter(encoding="json/spelled"))


class SpelledFailures(DefaultFailureConverter):
    def to_failure(self, exception: BaseException, payload_converter: Any, failure: Any) -> None:
        super().to_failure(exception, payload_converter, failure)
        failure.source = "spelled"


async def test_converters_of_the_application_stay(temporal_target: str) -> None:
    own = DataConverter(
        payload_converter_class=SpelledConverter, failure_converter_class=SpelledFailures
    )
    plugin = ours()
    client = await connect(temporal_target, data_converter=own, plugins=[plugin])
    queue = uuid4().hex
    async with running(
        Worker(client, task_queue=queue, workflows=WORKFLOWS, activities=ACTIVITIES)
    ):
        for kind in ("activity", "child", "signal", "heartbeat"):
            handle = await start(client, queue, kind)
            assert await result_of(handle) == SIZE
            assert await refused_tasks(handle) == []
        handle = await start(client, queue, "raise_details")
        with pytest.raises(Exception, match="Workflow execution failed") as caught:
            await result_of(handle)
        cause = caught.value.__cause__
        assert isinstance(cause, ApplicationError)
        assert cause.failure is not None
        assert cause.failure.source == "spelled"
        assert cause.details == ("x" * SIZE,)
    encodings = {
        bytes(payload.metadata["encoding-orig"] or payload.metadata["encoding"])
        for event in (await handle.fetch_history()).events
        for payload in event.workflow_execution_started_event_attributes.input.payloads
    }
    assert encodings == {b"json/spelled"}


def test_an_adopted_converter_reads_contexts() -> None:
    from mistral_offload.payload.context import PayloadContext
    from mistral_offload.temporal import ContextValue, data_converter
    from mistral_offload.temporal.composition import AdoptedConverter

    adopted: PayloadConverter = AdoptedConverter(SpelledConverter())
    value = ContextValue({"a": 1}, PayloadContext("n", "e"))
    old = data_converter().payload_converter.to_payloads([value])
    new = adopted.to_payloads([2])
    assert adopted.from_payloads([*old, *new], [dict, int]) == [{"a": 1}, 2]
    assert adopted.from_payloads(old) == [{"a": 1}]
