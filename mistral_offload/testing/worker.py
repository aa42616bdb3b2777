"""A worker in a thread of the test's process, with a client of its workflows."""

from __future__ import annotations

import asyncio
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping
from concurrent.futures import Future
from contextlib import suppress
from copy import copy
from datetime import timedelta
from typing import Any, Final, TypeVar

from pydantic_settings import BaseSettings, PydanticBaseSettingsSource
from typing_extensions import Self

from mistral_offload.client import Mistral
from mistral_offload.client.models import WorkflowExecutionResponse
from mistral_offload.config import (
    BlobStorageConfig,
    FieldOffloadingConfig,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
)
from mistral_offload.devserver import LocalPlatform
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.environment.temporal_client import open_temporal_client
from mistral_offload.errors import ConfigurationError
from mistral_offload.limits import DEFAULT_FIELD_MIN_SIZE_BYTES
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.testing.blobs import OffloadedBlob, read_offloaded
from mistral_offload.workflows import Activity, FieldOffloader, WorkerOptions, run_worker
from mistral_offload.workflows.definitions import definition_of
from mistral_offload.workflows.registry import registry

T = TypeVar("T")

RESULT_SECONDS: Final = 30.0
"""Default limit for the time of an execution."""

_START_SECONDS = 30.0
_STOP_SECONDS = 15.0
_PAUSE_SECONDS = 0.02


class WorkflowWorker:
    """A worker that runs workflows and activities in a thread of this process.

    Activities see what a test has patched; workflow code does not, since Temporal's sandbox imports
    its module again. The environment's variables are not read, so tests do not depend on the
    machine. A missing blob counts as lost at once. Nothing is cached: each read of a blob is a
    request to the store.

    Example::

        with LocalPlatform() as platform, WorkflowWorker([Invoice], platform=platform) as worker:
            assert worker.execute(Invoice, {"number": 7}).result == {"total": 12}

    Args:
        workflows: classes decorated with ``workflow.define``.
        platform: the platform that runs their executions, started.
        activities: decorated functions; all that are decorated in this process if not given.
        fakes: functions to run in place of activities; they get the same arguments, by position.
        store: store for large payloads and activity fields; a new one if not given.
        min_size_bytes: payloads are offloaded from this size on, by the client and the worker;
            by default 2 MiB, and 256 KiB in histories.
        field_min_size_bytes: activity fields are offloaded from this size on.
        encryption: encryption of payloads.
        compression: compression of payloads.
        options: limits of the worker; by default its activities have a second to end after a stop.

    Attributes:
        client: a client of the platform with the same store; pass ``deployment_name`` to its calls
            that start executions.
        deployment_name: deployment and task queue of this worker, unlike that of any other.
        store: the store.
    """

    def __init__(
        self,
        workflows: Iterable[type],
        *,
        platform: LocalPlatform,
        activities: Iterable[Activity[..., Any]] | None = None,
        fakes: Mapping[Activity[..., Any], Callable[..., Any]] | None = None,
        store: MemoryStore | None = None,
        min_size_bytes: int | None = None,
        field_min_size_bytes: int = DEFAULT_FIELD_MIN_SIZE_BYTES,
        encryption: PayloadEncryptionConfig | None = None,
        compression: PayloadCompressionConfig | None = None,
        options: WorkerOptions | None = None,
    ) -> None:
        self._classes = list(workflows)
        self._activities = [
            _faked(each, (fakes or {}).get(each))
            for each in (registry.all() if activities is None else activities)
        ]
        self._platform = platform
        self._options = options or WorkerOptions(graceful_shutdown_timeout=timedelta(seconds=1))
        self.store = MemoryStore() if store is None else store
        self.deployment_name = f"test-{uuid.uuid4().hex[:12]}"
        # The directory is never used, since the store takes its place.
        storage = BlobStorageConfig(storage_provider="local", path="memory", cache_memory_bytes=0)
        limits = {} if min_size_bytes is None else {"min_size_bytes": min_size_bytes}
        self._encoder = PayloadEncoder(
            PayloadOffloadingConfig(storage_config=storage, **limits),
            encryption=encryption,
            compression=compression,
            store=self.store,
        )
        self._fields = FieldOffloader(
            FieldOffloadingConfig(storage_config=storage, min_size_bytes=field_min_size_bytes),
            store=self.store,
            blob_codec=self._encoder,
        )
        self._settings = _OwnSettings(
            server_url=platform.server_url,
            deployment_name=self.deployment_name,
            temporal_server_url=platform.temporal_address,
            temporal_namespace=platform.namespace,
            mistral_api_key=platform.api_key,
            temporal_payload_encryption=(
                None if encryption is None else encryption.model_dump(exclude_unset=True)
            ),
            lost_blobs={"after_seconds": 0, "without_evidence": True},
        )
        self.client = Mistral(platform.api_key, server_url=platform.server_url)
        self.client._connection.use_encoder(  # pyright: ignore[reportPrivateUsage]
            self._encoder, namespace=platform.namespace
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: Future[None] | None = None
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Start the worker; returns when the platform knows its workflows.

        Raises:
            MistralOffloadError: it could not start.
            TimeoutError: it was not registered within 30 s.
        """
        if self._thread is not None:
            return
        self._loop = loop = asyncio.new_event_loop()
        self._thread = threading.Thread(
            target=loop.run_forever, name=f"worker {self.deployment_name}", daemon=True
        )
        self._thread.start()
        self._running = asyncio.run_coroutine_threadsafe(self._run(), loop)
        try:
            self._wait_until_registered(self._running)
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Stop the worker and close the client; returns when both have ended."""
        loop, thread, running = self._loop, self._thread, self._running
        self._loop = self._thread = self._running = None
        self.client.close()
        if loop is None or thread is None or running is None:
            return
        running.cancel()
        stopping = asyncio.run_coroutine_threadsafe(_end_others(), loop)
        try:
            stopping.result(_STOP_SECONDS)
        finally:
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_STOP_SECONDS)
            if not thread.is_alive():
                loop.close()

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()

    def execute(
        self,
        workflow: type | str,
        input: Any = None,
        *,
        execution_id: str | None = None,
        timeout_seconds: float = RESULT_SECONDS,
    ) -> WorkflowExecutionResponse:
        """Start an execution on this worker, and wait for its end.

        Args:
            workflow: the class, or its name.
            input: as for ``client.workflows.execute_workflow``.
            execution_id: id of the execution; a new one if not given.
            timeout_seconds: seconds to wait.

        Returns:
            The execution, with ``result`` and ``execution_id``.

        Raises:
            WorkflowFailedError: it ended without a result.
            WorkflowTimeoutError: it is still running.
        """
        started = self.client.workflows.execute_workflow(
            workflow if isinstance(workflow, str) else definition_of(workflow).name,
            input=input,
            execution_id=execution_id,
            deployment_name=self.deployment_name,
        )
        return self.client.workflows.wait_for_workflow_completion(
            started.execution_id, timeout_seconds=timeout_seconds
        )

    def offloaded(self, execution: WorkflowExecutionResponse | str) -> list[OffloadedBlob]:
        """Return the blobs that an execution's history refers to, in the order of its events.

        Args:
            execution: the execution, or its id.

        Raises:
            ExecutionNotFoundError: there is no such execution.
        """
        execution_id = execution if isinstance(execution, str) else execution.execution_id
        return self._call(self._read_offloaded(execution_id))

    async def _read_offloaded(self, execution_id: str) -> list[OffloadedBlob]:
        async with open_temporal_client(self._settings) as client:
            return await read_offloaded(client, execution_id, self._settings, self.store)

    async def _run(self) -> None:
        await run_worker(
            self._classes,
            activities=self._activities,
            api_key=self._platform.api_key,
            settings=self._settings,
            options=self._options,
            encoder=self._encoder,
            fields=self._fields,
            worker_name=self.deployment_name,
        )

    def _wait_until_registered(self, running: Future[None]) -> None:
        deadline = time.monotonic() + _START_SECONDS
        while time.monotonic() < deadline:
            if running.done():
                running.result()
                raise ConfigurationError("the worker was stopped during its start")
            found = self.client.workflows.get_workflows(deployment_name=[self.deployment_name])
            if found.workflows:
                return
            time.sleep(_PAUSE_SECONDS)
        raise TimeoutError(f"the worker was not registered within {_START_SECONDS:g} s")

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        if self._loop is None:
            work.close()
            raise ConfigurationError("the worker is not running")
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(RESULT_SECONDS)


class _OwnSettings(WorkerSettings):
    """Settings from arguments alone."""

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Leave out the environment and ``.env``."""
        return (init_settings,)


def _faked(activity: Activity[..., Any], fake: Callable[..., Any] | None) -> Activity[..., Any]:
    """Return an activity that runs another function; its name and types stay."""
    if fake is None:
        return activity
    other = copy(activity)
    other.function = fake
    return other


async def _end_others() -> None:
    """Wait until the other tasks of the loop, which were cancelled, have ended."""
    others = asyncio.all_tasks() - {asyncio.current_task()}
    if others:
        await asyncio.wait(others)
    with suppress(RuntimeError):
        await asyncio.get_running_loop().shutdown_asyncgens()
