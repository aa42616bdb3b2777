"""Payloads of Nexus operations, activity handles, activities without a workflow, and schedules.

3 MB each on a real Temporal server, with the plugin and with the driver of external storage. For
some of them Temporal names no execution.
"""

from __future__ import annotations

import asyncio
import dataclasses
import sysconfig
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import pytest_asyncio
import temporalio.converter
from temporalio.api.common.v1 import Payload
from temporalio.client import (
    AsyncActivityCancelledError,
    AsyncActivityHandle,
    Client,
    Schedule,
    ScheduleActionStartWorkflow,
    ScheduleSpec,
    ScheduleUpdate,
    WithStartWorkflowOperation,
    WorkflowFailureError,
    WorkflowHandle,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import (
    ExternalStorage,
    StorageDriverRetrieveContext,
    StorageDriverStoreContext,
    StorageDriverWorkflowInfo,
)
from temporalio.exceptions import ApplicationError, TerminatedError
from temporalio.service import RPCError
from temporalio.testing import WorkflowEnvironment
from temporalio.worker import Replayer, Worker

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import (
    BlobNotFoundError,
    ConfigurationError,
    KeyTooLongError,
    PayloadTooLargeError,
    ReferenceRefusedError,
)
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import BlobStorageDriver, OffloadPlugin, data_converter
from tests.bounds import until, within
from tests.temporal.nexus_service import (
    ACTIVITIES,
    WORKFLOWS,
    Calling,
    CallingOften,
    Doubling,
    Open,
    SignalingWithStart,
    Texts,
    TextsHandler,
    Waiting,
    completed_later,
    double,
    endpoint_for,
    tokens,
)
from tests.temporal.plain_worker import VOUCHED, encoder_for, failed_tasks
from tests.temporal_bounds import connect, result_of, running

SIZE = 3_000_000
LARGE = "x" * SIZE
UNOWNED = "temporal-payload/default/@unowned/sha256:"
TIMEOUT = timedelta(seconds=40)

HAS_NEXUS_STORAGE = hasattr(temporalio.converter, "NexusSerializationContext")
"""False for versions of temporalio whose Nexus workers do not use external storage."""

pytestmark = pytest.mark.asyncio(loop_scope="module")


@dataclasses.dataclass
class Scene:
    client: Client
    store: MemoryStore
    task_queue: str
    endpoint: str

    def unowned(self) -> list[str]:
        return [blob.key for blob in self.store.list("") if blob.key.startswith(UNOWNED)]


def plugin_options(store: MemoryStore) -> dict[str, Any]:
    return {"plugins": [OffloadPlugin(encoder=encoder_for(store))]}


def driver_options(store: MemoryStore) -> dict[str, Any]:
    driver = BlobStorageDriver(store=store, namespaces=["default"])
    converter = dataclasses.replace(
        pydantic_data_converter, external_storage=ExternalStorage(drivers=[driver])
    )
    return {"data_converter": converter}


@pytest_asyncio.fixture(scope="module", loop_scope="module", params=["plugin", "driver"])
async def scene(request: pytest.FixtureRequest, temporal_target: str) -> AsyncGenerator[Scene]:
    store = MemoryStore(retry_seconds=8)
    options = plugin_options(store) if request.param == "plugin" else driver_options(store)
    async with nexus_worker(temporal_target, options, store) as scene:
        yield scene


@asynccontextmanager
async def nexus_worker(
    temporal_target: str,
    options: dict[str, Any],
    store: MemoryStore | None = None,
    namespace: str = "default",
) -> AsyncGenerator[Scene]:
    client = await connect(temporal_target, namespace=namespace, **options)
    task_queue = f"nexus-{uuid4().hex}"
    async with (
        running(
            Worker(
                client,
                task_queue=task_queue,
                workflows=WORKFLOWS,
                activities=ACTIVITIES,
                nexus_service_handlers=[TextsHandler()],
            )
        ),
        endpoint_for(client, task_queue) as endpoint,
    ):
        yield Scene(client, store or MemoryStore(), task_queue, endpoint)


async def call(scene: Scene, operation: str, size: int = SIZE) -> WorkflowHandle[Any, int]:
    return await scene.client.start_workflow(
        Calling.run,
        args=[scene.endpoint, operation, size],
        id=f"calling-{uuid4().hex}",
        task_queue=scene.task_queue,
    )


@pytest.mark.parametrize(
    ("operation", "expected"),
    [
        ("double", 2 * SIZE),
        ("make", SIZE),
        ("double_by_workflow", 2 * SIZE),
        ("fail", SIZE),
        ("fail_by_error", SIZE),
        ("fail_by_workflow", SIZE),
    ],
)
async def test_nexus_operations(
    scene: Scene, operation: str, expected: int, request: pytest.FixtureRequest
) -> None:
    if not HAS_NEXUS_STORAGE and "driver" in request.node.callspec.id:
        pytest.skip("the Nexus worker of this temporalio does not use external storage")
    handle = await call(scene, operation)
    assert await result_of(handle) == expected
    assert await failed_tasks(handle) == []
    history = (await handle.fetch_history()).to_json()
    assert len(history) < 100_000
    if operation in ("make", "double"):  # the result, for which Temporal names no execution
        assert scene.unowned()


async def started_later(scene: Scene, ending: str) -> WorkflowHandle[Any, int]:
    handle = await scene.client.start_workflow(
        Waiting.run, ending, id=f"waiting-{uuid4().hex}", task_queue=scene.task_queue
    )
    await until(lambda: handle.id in tokens)
    return handle


def activity_handle(scene: Scene, handle: WorkflowHandle[Any, Any], by: str) -> AsyncActivityHandle:
    if by == "token":
        return scene.client.get_async_activity_handle(task_token=tokens[handle.id])
    return scene.client.get_async_activity_handle(
        workflow_id=handle.id, run_id=handle.first_execution_run_id, activity_id="later"
    )


async def is_cancelled(later: AsyncActivityHandle) -> bool:
    try:
        await later.heartbeat()
    except AsyncActivityCancelledError:
        return True
    return False


@pytest.mark.parametrize("by", ["token", "id"])
@pytest.mark.parametrize("ending", ["complete", "fail", "heartbeat", "last_heartbeat", "cancel"])
async def test_handles_of_asynchronous_activities(scene: Scene, ending: str, by: str) -> None:
    before = set(scene.unowned())
    large = uuid4().hex.ljust(SIZE, "x")
    handle = await started_later(scene, "heartbeat" if "heartbeat" in ending else ending)
    later = activity_handle(scene, handle, by)
    if ending == "complete":
        await later.complete(large)
    elif ending == "fail":
        await later.fail(ApplicationError("failed", large, non_retryable=True))
    elif ending == "heartbeat":
        await later.heartbeat(large)
        await later.fail(ApplicationError("again"))
    elif ending == "last_heartbeat":
        await later.fail(ApplicationError("again"), last_heartbeat_details=[large])
    else:
        await handle.cancel()
        await until(lambda: is_cancelled(later))
        await later.report_cancellation(large)
    assert await result_of(handle) == SIZE
    # A task token is opaque, so its payloads belong to no execution.
    assert len(set(scene.unowned()) - before) == (1 if by == "token" else 0)


async def test_activities_without_a_workflow(scene: Scene) -> None:
    activity_id = f"alone-{uuid4().hex}"
    handle = await scene.client.start_activity(
        double,
        LARGE,
        id=activity_id,
        task_queue=scene.task_queue,
        start_to_close_timeout=TIMEOUT,
        summary="a summary",
    )
    assert len(await within(handle.result())) == 2 * SIZE
    assert any(f"/{activity_id}/" in blob.key for blob in scene.store.list(""))


@pytest.mark.parametrize("by", ["token", "id"])
async def test_handles_of_activities_without_a_workflow(scene: Scene, by: str) -> None:
    activity_id = f"alone-{uuid4().hex}"
    handle = await scene.client.start_activity(
        completed_later,
        False,
        id=activity_id,
        task_queue=scene.task_queue,
        start_to_close_timeout=TIMEOUT,
    )
    await until(lambda: activity_id in tokens)
    later = (
        scene.client.get_async_activity_handle(task_token=tokens[activity_id])
        if by == "token"
        else scene.client.get_async_activity_handle(
            workflow_id=None, run_id=handle.run_id, activity_id=activity_id
        )
    )
    await later.heartbeat(LARGE)
    await later.complete(LARGE)
    assert len(await within(handle.result())) == SIZE


async def test_update_with_start(scene: Scene) -> None:
    start = WithStartWorkflowOperation(
        Open.run,
        LARGE,
        id=f"open-{uuid4().hex}",
        task_queue=scene.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
    )
    result = await within(
        scene.client.execute_update_with_start_workflow(
            Open.change, LARGE, start_workflow_operation=start
        )
    )
    assert len(result) == SIZE
    assert await result_of(await start.workflow_handle()) == 2 * SIZE


async def test_signal_with_start(scene: Scene) -> None:
    handle = await scene.client.start_workflow(
        Open.run,
        LARGE,
        id=f"open-{uuid4().hex}",
        task_queue=scene.task_queue,
        start_signal="tell",
        start_signal_args=[LARGE],
    )
    assert await result_of(handle) == 2 * SIZE


async def test_schedules(scene: Scene, request: pytest.FixtureRequest) -> None:
    schedule_id = f"schedule-{uuid4().hex}"

    def action(text: str) -> ScheduleActionStartWorkflow:
        return ScheduleActionStartWorkflow(
            Doubling.run,
            text,
            id=f"scheduled-{schedule_id}",
            task_queue=scene.task_queue,
            memo={"action": LARGE},
            static_summary="a summary",
        )

    # The server does not respond when a schedule's own memo refers to external storage.
    memo = "m" if "driver" in request.node.callspec.id else LARGE
    handle = await scene.client.create_schedule(
        schedule_id,
        Schedule(action=action(LARGE), spec=ScheduleSpec()),
        memo={"schedule": memo},
        trigger_immediately=True,
    )
    try:
        assert await _scheduled_result(scene, handle, 1) == 2 * SIZE
        described = await handle.describe()
        assert await described.memo_value("schedule") == memo
        assert isinstance(described.schedule.action, ScheduleActionStartWorkflow)
        [argument] = described.schedule.action.args
        [value] = await scene.client.data_converter.decode([argument])
        assert len(value) == SIZE
        await handle.update(
            lambda _: ScheduleUpdate(Schedule(action=action(LARGE + "!"), spec=ScheduleSpec()))
        )
        # An update that passes on what it was given, with arguments that are still encoded.
        await handle.update(lambda given: ScheduleUpdate(given.description.schedule))
        await handle.trigger()
        assert await _scheduled_result(scene, handle, 2) == 2 * SIZE + 2
        listed = [
            entry async for entry in await scene.client.list_schedules() if entry.id == schedule_id
        ]
        for entry in listed:  # the server's list is eventually consistent
            assert await entry.memo_value("schedule") == memo
    finally:
        await handle.delete()


async def _scheduled_result(scene: Scene, handle: Any, number: int) -> int:
    async def started() -> bool:
        await asyncio.sleep(0.2)  # each request is work for the schedule's own workflow
        return len((await handle.describe()).info.recent_actions) >= number

    await until(started)
    description = await handle.describe()
    execution = description.info.recent_actions[-1].action
    workflow_handle = scene.client.get_workflow_handle_for(Doubling.run, execution.workflow_id)
    return len(await result_of(workflow_handle))


@pytest.mark.server  # its own
@pytest.mark.skipif(not HAS_NEXUS_STORAGE, reason="this temporalio does not have them")
@pytest.mark.parametrize("options", [plugin_options, driver_options])
async def test_operations_that_a_server_has_to_allow(
    options: Callable[[MemoryStore], dict[str, Any]],
) -> None:
    """Nexus operations called by a client, and signal-with-start from a workflow."""
    allowed = ["--headless"]
    for name in (
        "nexusoperation.enableStandalone",
        "nexus.enableStandaloneOperation",
        "history.enableSignalWithStartFromWorkflow",
    ):
        allowed += ["--dynamic-config-value", f"{name}=true"]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sysconfig.get_path("scripts")) / "temporal"),
        dev_server_extra_args=allowed,
        dev_server_log_level="error",
    ) as environment:
        target = environment.client.service_client.config.target_host
        async with nexus_worker(target, options(MemoryStore())) as scene:
            client = scene.client.create_nexus_client(service=Texts, endpoint=scene.endpoint)
            for operation in (Texts.double, Texts.double_by_workflow):
                handle = await client.start_operation(
                    operation, LARGE, id=f"alone-{uuid4().hex}", schedule_to_close_timeout=TIMEOUT
                )
                assert len(await within(handle.result())) == 2 * SIZE
                by_id = scene.client.get_nexus_operation_handle(
                    handle.operation_id, result_type=str
                )
                assert len(await within(by_id.result())) == 2 * SIZE
            execution_id = f"open-{uuid4().hex}"
            starting = await scene.client.start_workflow(
                SignalingWithStart.run,
                args=[execution_id, SIZE],
                id=f"starting-{execution_id}",
                task_queue=scene.task_queue,
            )
            assert await result_of(starting) == execution_id
            started = scene.client.get_workflow_handle_for(Open.run, execution_id)
            assert await result_of(started) == 2 * SIZE
            assert len(await (await started.describe()).memo_value("large")) == SIZE


async def test_results_of_nexus_operations_stay_out_of_a_history(temporal_target: str) -> None:
    store = MemoryStore()
    plugin = OffloadPlugin(encoder=encoder_for(store))
    async with nexus_worker(temporal_target, {"plugins": [plugin]}) as scene:
        handle = await scene.client.start_workflow(
            CallingOften.run,
            args=[scene.endpoint, 20, 300_000],
            id=f"calling-{uuid4().hex}",
            task_queue=scene.task_queue,
        )
        assert await result_of(handle) == 20 * 300_000
        description = await handle.describe()
        assert description.raw_description.workflow_execution_info.history_size_bytes < 100_000
    store.requests.clear()
    replayer = Replayer(workflows=WORKFLOWS, plugins=[plugin])
    replayed = await replayer.replay_workflow(await handle.fetch_history())
    assert replayed.replay_failure is None
    assert not store.requests


async def test_a_lost_input_or_result_fails_the_operation_once(temporal_target: str) -> None:
    store = MemoryStore()
    plugin = OffloadPlugin(encoder=without_cache(store), lost_blobs=VOUCHED)
    async with nexus_worker(temporal_target, {"plugins": [plugin]}) as scene:
        store.fail("get", BlobNotFoundError)
        for operation in ("double", "make"):
            handle = await call(scene, operation)
            with pytest.raises(WorkflowFailureError) as caught:
                await result_of(handle)
            assert "BlobNotFoundError" in types_of(caught.value)
            assert await failed_tasks(handle) == []


@pytest.mark.parametrize(
    ("operation", "size", "kind"),
    [
        ("double", SIZE, "PayloadTooLargeError"),
        ("make", SIZE, "PayloadTooLargeError"),
        ("make", -1, "PayloadSerializationError"),
    ],
)
async def test_values_that_cannot_be_sent_fail_once(
    temporal_target: str, operation: str, size: int, kind: str
) -> None:
    """Without a store, or because they cannot be written."""
    plugin = OffloadPlugin(encoder=PayloadEncoder())
    async with nexus_worker(temporal_target, {"plugins": [plugin]}) as scene:
        handle = await call(scene, operation, size)
        with pytest.raises(WorkflowFailureError) as caught:
            await result_of(handle)
        assert kind in types_of(caught.value)
        assert await failed_tasks(handle) == []


async def test_details_of_a_termination(scene: Scene) -> None:
    handle = await scene.client.start_workflow(
        Open.run, LARGE, id=f"open-{uuid4().hex}", task_queue=scene.task_queue
    )
    await handle.terminate(LARGE)
    with pytest.raises(WorkflowFailureError) as caught:
        await result_of(handle)
    cause = caught.value.cause
    assert isinstance(cause, TerminatedError)
    assert len(cause.details[0]) == SIZE


async def test_a_missing_input_is_awaited_without_evidence(
    temporal_target: str, caplog: pytest.LogCaptureFixture
) -> None:
    store = MemoryStore()
    plugin = OffloadPlugin(encoder=without_cache(store))
    async with nexus_worker(temporal_target, {"plugins": [plugin]}) as scene:
        store.fail("get", BlobNotFoundError)
        handle = await call(scene, "double")
        await until(lambda: "waits for a blob" in caplog.text)
        store.heal()
        assert await result_of(handle) == 2 * SIZE


async def test_nexus_between_namespaces_has_to_be_allowed(temporal_target: str) -> None:
    store = MemoryStore()

    async def run(**options: Any) -> int:
        def plugins() -> dict[str, Any]:
            return {"plugins": [OffloadPlugin(encoder=encoder_for(store, **options))]}

        async with (
            nexus_worker(temporal_target, plugins()) as caller,
            nexus_worker(temporal_target, plugins(), namespace="mistral-workflows") as handler,
        ):
            scene = dataclasses.replace(caller, endpoint=handler.endpoint)
            return await result_of(await call(scene, "double"))

    with pytest.raises(WorkflowFailureError) as caught:
        await run()
    assert any(
        isinstance(each, ApplicationError)
        and each.type == ReferenceRefusedError.__name__
        and "allow_other_namespaces" in str(each)
        for each in causes(caught.value)
    )
    assert await run(allow_other_namespaces=True) == 2 * SIZE


async def test_a_converter_needs_the_namespace(temporal_target: str) -> None:
    encoder = encoder_for(MemoryStore())
    client = await connect(temporal_target, data_converter=data_converter(encoder))
    handle = client.get_async_activity_handle(task_token=b"any")
    with pytest.raises(PayloadTooLargeError, match="namespace="):
        await handle.complete(LARGE)
    converter = data_converter(encoder, namespace="default")
    client = await connect(temporal_target, data_converter=converter)
    with pytest.raises(RPCError):  # stored, and sent to the server
        await client.get_async_activity_handle(task_token=b"any").complete(LARGE)


async def test_a_driver_needs_the_namespace_only_if_it_cannot_know_it() -> None:
    context = StorageDriverStoreContext()
    payload = Payload(data=b"x")
    cases: list[tuple[dict[str, Any], str]] = [
        ({"namespaces": ["a"]}, "a"),
        ({"namespaces": ["a", "b"], "namespace": "b"}, "b"),
        ({"namespace": "c"}, "c"),
        ({}, ""),
    ]
    for options, namespace in cases:
        driver = BlobStorageDriver(store=MemoryStore(), **options)
        claims = await driver.store(context, [payload])
        key = claims[0].claim_data["key"]
        assert key.startswith(f"temporal-payload/{namespace}/@unowned/sha256:")
        assert await driver.retrieve(StorageDriverRetrieveContext(), claims) == [payload]
    several = BlobStorageDriver(store=MemoryStore(), namespaces=["a", "b"])
    with pytest.raises(ConfigurationError, match="pass namespace="):
        await several.store(context, [payload])
    with pytest.raises(ConfigurationError, match="not one of"):
        BlobStorageDriver(store=MemoryStore(), namespaces=["a"], namespace="b")


async def test_a_driver_names_the_id_that_is_too_long() -> None:
    class Bucket(MemoryStore):
        longest_key = 1024

    driver = BlobStorageDriver(store=Bucket())
    target = StorageDriverWorkflowInfo(namespace="default", id="ä" * 200)
    with pytest.raises(KeyTooLongError, match=r"execution 'ä{100}'… cannot .* 200 characters"):
        await driver.store(StorageDriverStoreContext(target=target), [Payload(data=b"x")])


def without_cache(store: MemoryStore) -> PayloadEncoder:
    storage = BlobStorageConfig(bucket_name="stands-in", cache_memory_bytes=0)
    return PayloadEncoder(PayloadOffloadingConfig(storage_config=storage), store=store)


def types_of(error: BaseException) -> list[str | None]:
    return [each.type for each in causes(error) if isinstance(each, ApplicationError)]


def causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__
