"""A worker's client: placeholders for the worker, errors for everyone else who uses it."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from temporalio.client import Client, Interceptor, Plugin, WorkflowFailureError
from temporalio.converter import DataConverter, DefaultFailureConverterWithEncodedAttributes
from temporalio.exceptions import ApplicationError
from temporalio.service import ConnectConfig, ServiceClient
from temporalio.worker import Replayer, Worker

from mistral_offload.errors import BlobNotFoundError
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadingCodec, OffloadPlugin, data_converter
from mistral_offload.temporal.outbound import message_encoder
from mistral_offload.temporal.worker_client import worker_client, worker_converter
from tests.temporal import lookups
from tests.temporal.lookups import Lost, ReadByActivity, RunWorkerInside, Take
from tests.temporal.plain_worker import VOUCHED, encoder_for, failed_tasks
from tests.temporal_bounds import connect, result_of, running
from tests.workflows.worker_runs import running_worker


@pytest.fixture
def unrecognizable_tasks(monkeypatch: pytest.MonkeyPatch) -> None:
    """A temporalio whose tasks are not recognized, and no probe that would notice."""

    async def nothing_lost(_: Any = None) -> frozenset[Any]:
        return frozenset()

    monkeypatch.setattr("mistral_offload.temporal.worker_scope.in_worker_task", lambda: False)
    monkeypatch.setattr(message_encoder, "lost_capabilities", nothing_lost)


@asynccontextmanager
async def plugin_worker(target: str) -> AsyncGenerator[tuple[Client, Worker]]:
    plugin = OffloadPlugin(encoder=encoder_for(MemoryStore()), lost_blobs=VOUCHED)
    client = await connect(target, plugins=[plugin])
    worker = Worker(
        client,
        task_queue=f"client-{uuid4().hex[:8]}",
        workflows=lookups.PLAIN_WORKFLOWS,
        activities=lookups.PLAIN_ACTIVITIES,
    )
    async with running(worker):
        yield client, worker


async def run(client: Client, task_queue: str, workflow: Any, *args: Any) -> Any:
    handle = await client.start_workflow(
        workflow, args=list(args), id=f"c-{uuid4().hex[:8]}", task_queue=task_queue
    )
    return await result_of(handle)


async def lost_result(client: Client, task_queue: str) -> str:
    """Run a workflow whose result is lost, and return its id."""
    handle = await client.start_workflow(
        Lost.run, id=f"lost-{uuid4().hex[:8]}", task_queue=task_queue
    )
    with pytest.raises(BlobNotFoundError):
        await result_of(handle)
    return handle.id


async def test_users_of_the_clients_get_errors(temporal_target: str) -> None:
    async with plugin_worker(temporal_target) as (client, worker):
        workflow_id = await lost_result(client, worker.task_queue)
        with pytest.raises(BlobNotFoundError):
            await result_of(worker.client.get_workflow_handle(workflow_id))
        found = await run(client, worker.task_queue, ReadByActivity.run, workflow_id)
        assert found == "BlobNotFoundError"


async def test_activities_of_run_worker_get_errors(temporal_target: str) -> None:
    async with (
        plugin_worker(temporal_target) as (client, plain),
        running_worker(
            temporal_target,
            [lookups.DecoratedReader],
            activities=[lookups.decorated_read],
            encoder=encoder_for(MemoryStore()),
        ) as rig,
    ):
        workflow_id = await lost_result(client, plain.task_queue)
        found = await rig.run("decorated-reader", {"workflow_id": workflow_id})
        assert found == {"result": "BlobNotFoundError"}


@pytest.mark.usefixtures("unrecognizable_tasks")
async def test_a_plugins_worker_need_not_be_recognized(temporal_target: str) -> None:
    async with plugin_worker(temporal_target) as (client, worker):
        handle = await client.start_workflow(
            Take.run,
            args=[lookups.reference_to_nothing()],
            id=f"c-{uuid4().hex[:8]}",
            task_queue=worker.task_queue,
        )
        with pytest.raises(WorkflowFailureError) as caught:
            await result_of(handle)
        assert isinstance(caught.value.cause, ApplicationError)
        assert caught.value.cause.type == "BlobNotFoundError"
        assert await failed_tasks(handle) == []
        workflow_id = await lost_result(client, worker.task_queue)
        with pytest.raises(BlobNotFoundError):
            await result_of(worker.client.get_workflow_handle(workflow_id))


@pytest.mark.usefixtures("unrecognizable_tasks")
async def test_run_worker_need_not_be_recognized(temporal_target: str) -> None:
    async with running_worker(
        temporal_target,
        [lookups.DecoratedTaker],
        activities=[lookups.decorated_read],
        encoder=encoder_for(MemoryStore()),
        lost_blobs=VOUCHED,
    ) as rig:
        client: Client = rig.client
        handle = await client.start_workflow(
            "decorated-taker",
            args=[lookups.reference_to_nothing()],
            id=f"c-{uuid4().hex[:8]}",
            task_queue=rig.task_queue,
        )
        with pytest.raises(WorkflowFailureError) as caught:
            await result_of(handle)
        assert isinstance(caught.value.cause, ApplicationError)
        assert caught.value.cause.type == "BlobNotFoundError"
        assert await failed_tasks(handle) == []


@pytest.mark.usefixtures("unrecognizable_tasks")
async def test_a_plugins_replayer_need_not_be_recognized(temporal_target: str) -> None:
    async with plugin_worker(temporal_target) as (client, worker):
        handle = await client.start_workflow(
            Take.run,
            args=[lookups.reference_to_nothing()],
            id=f"c-{uuid4().hex[:8]}",
            task_queue=worker.task_queue,
        )
        with pytest.raises(WorkflowFailureError):
            await result_of(handle)
        history = await handle.fetch_history()
    plugin = OffloadPlugin(encoder=encoder_for(MemoryStore()))
    replayer = Replayer(workflows=[Take], plugins=[plugin])
    replayed = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    # Decoding raised nothing: the workflow itself ended the replay, for want of its argument.
    assert "ReplayImpossibleError" in str(replayed.replay_failure)


async def test_a_worker_inside_an_activity(temporal_target: str) -> None:
    async with plugin_worker(temporal_target) as (client, worker):
        found = await run(client, worker.task_queue, RunWorkerInside.run)
        assert found == "BlobNotFoundError"


class CountingPlugin(Plugin):
    """Counts how often it configures a client."""

    def __init__(self) -> None:
        self.configured = 0

    def configure_client(self, config: Any) -> Any:
        self.configured += 1
        config["interceptors"] = [*config["interceptors"], Interceptor()]
        return config

    async def connect_service_client(self, config: ConnectConfig, next: Any) -> ServiceClient:
        connected: ServiceClient = await next(config)
        return connected


async def test_a_workers_client_is_the_same_but_for_its_codec(temporal_target: str) -> None:
    counting = CountingPlugin()
    plugin = OffloadPlugin(encoder=encoder_for(MemoryStore()))
    client = await connect(temporal_target, plugins=[plugin, counting], api_key="first", tls=False)
    own = worker_client(client)
    assert counting.configured == 1
    assert own.service_client is client.service_client
    given = client.config(active_config=True)["interceptors"]
    assert len(given) == 4  # ours twice, the one of the tests, and the plugin's
    assert own.config(active_config=True)["interceptors"][1:] == given
    assert (own.namespace, own.identity) == (client.namespace, client.identity)
    codec = own.data_converter.payload_codec
    assert isinstance(codec, OffloadingCodec)
    assert codec.is_for_worker
    assert not client.data_converter.payload_codec.is_for_worker  # type: ignore[union-attr]
    assert worker_client(own) is own
    client.api_key = "second"
    assert own.api_key == "second"


async def test_a_client_without_the_codec_is_left_alone(temporal_target: str) -> None:
    client = await connect(temporal_target)
    assert worker_client(client) is client


def test_changes_of_a_converter_are_kept() -> None:
    changed: DataConverter = replace(
        data_converter(), failure_converter_class=DefaultFailureConverterWithEncodedAttributes
    )
    own = worker_converter(changed)
    assert own.failure_converter_class is DefaultFailureConverterWithEncodedAttributes
    assert own.payload_converter_class is changed.payload_converter_class
