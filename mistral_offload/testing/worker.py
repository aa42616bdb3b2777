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
from pathlib import Path
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
    StorageProvider,
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
        storage = BlobStorageConfig(
            storage_provider=StorageProvider.LOCAL, path=Path("memory"), cache_memory_bytes=0
        )
        limits: dict[str, Any] = {}
        if min_size_bytes is not None:
            limits["min_size_bytes"] = min_size_bytes
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
        values: dict[str, Any] = {
            "server_url": platform.server_url,
            "deployment_name": self.deployment_name,
            "temporal_server_url": platform.temporal_address,
            "temporal_namespace": platform.namespace,
            "mistral_api_key": platform.api_key,
            "lost_blobs": {"after_seconds": 0, "without_evidence": True},
        }
        if encryption is not None:
            values["temporal_payload_encryption"] = encryption.model_dump(exclude_unset=True)
        self._settings = _OwnSettings(**values)
        self.client = Mistral(platform.api_key, server_url=platform.server_url)
        self.client._connection.use_encoder(  # pyright: ignore[reportPrivateUsage]
            self._encoder, namespace=platform.namespace
        )
        self.client._connection.use_fields(  # pyright: ignore[reportPrivateUsage]
            self._fields
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Start the worker; returns when the platform knows its workflows.

        Raises:
            MistralOffloadError: it could not start.
            TimeoutError: it was not registered within 30 s.
        """
        if self._loop is not None:
            return
        self._loop = loop = asyncio.new_event_loop()
        threading.Thread(
            target=_run_loop, args=(loop,), name=f"worker {self.deployment_name}", daemon=True
        ).start()
        try:
            self._call(self._start())
        except BaseException:
            with suppress(Exception):
                self.close()
            raise

    def close(self) -> None:
        """Stop the worker and close the client; returns when both have ended.

        Raises:
            MistralOffloadError: the worker had ended before, with this error.
        """
        loop = self._loop
        if loop is None:
            return
        try:
            self._call(self._stop())
        finally:
            self._loop = self._task = None
            loop.call_soon_threadsafe(loop.stop)

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
        return self._call(self._execute(workflow, input, execution_id, timeout_seconds))

    async def execute_async(
        self,
        workflow: type | str,
        input: Any = None,
        *,
        execution_id: str | None = None,
        timeout_seconds: float = RESULT_SECONDS,
    ) -> WorkflowExecutionResponse:
        """Async form of `execute`."""
        working = self._execute(workflow, input, execution_id, timeout_seconds)
        return await asyncio.wrap_future(self._submit(working))

    def offloaded(self, execution: WorkflowExecutionResponse | str) -> list[OffloadedBlob]:
        """Return the blobs that an execution's history refers to, in the order of its events.

        Args:
            execution: the execution, or its id.

        Raises:
            ExecutionNotFoundError: there is no such execution.
        """
        return self._call(self._read_offloaded(execution))

    async def offloaded_async(
        self, execution: WorkflowExecutionResponse | str
    ) -> list[OffloadedBlob]:
        """Async form of `offloaded`."""
        return await asyncio.wrap_future(self._submit(self._read_offloaded(execution)))

    async def _start(self) -> None:
        self._task = task = asyncio.create_task(
            run_worker(
                self._classes,
                activities=self._activities,
                api_key=self._platform.api_key,
                settings=self._settings,
                options=self._options,
                encoder=self._encoder,
                fields=self._fields,
                worker_name=self.deployment_name,
            )
        )
        deadline = time.monotonic() + _START_SECONDS
        while not task.done():
            found = await self.client.workflows.get_workflows_async(
                deployment_name=[self.deployment_name]
            )
            if found.workflows:
                return
            if time.monotonic() > deadline:
                raise TimeoutError(f"the worker was not registered within {_START_SECONDS:g} s")
            await asyncio.sleep(_PAUSE_SECONDS)
        task.result()

    async def _stop(self) -> None:
        await self.client.close_async()
        if self._task is None:
            return
        self._task.cancel()
        await asyncio.wait([self._task], timeout=_STOP_SECONDS)
        if self._task.done() and not self._task.cancelled():
            self._task.result()

    async def _execute(
        self, workflow: type | str, input: Any, execution_id: str | None, timeout_seconds: float
    ) -> WorkflowExecutionResponse:
        started = await self.client.workflows.execute_workflow_async(
            workflow if isinstance(workflow, str) else definition_of(workflow).name,
            input=input,
            execution_id=execution_id,
            deployment_name=self.deployment_name,
        )
        return await self.client.workflows.wait_for_workflow_completion_async(
            started.execution_id, timeout_seconds=timeout_seconds
        )

    async def _read_offloaded(
        self, execution: WorkflowExecutionResponse | str
    ) -> list[OffloadedBlob]:
        execution_id = execution if isinstance(execution, str) else execution.execution_id
        async with open_temporal_client(self._settings) as client:
            return await read_offloaded(client, execution_id, self._settings, self.store)

    def _call(self, work: Coroutine[Any, Any, T]) -> T:
        # In the worker's loop, also if the caller's thread has none: a test of either kind may
        # call, and no call is taken for one that blocks its event loop by mistake.
        return self._submit(work).result()

    def _submit(self, work: Coroutine[Any, Any, T]) -> Future[T]:
        if self._loop is None:
            work.close()
            raise ConfigurationError("the worker is not running: call start(), or use with")
        return asyncio.run_coroutine_threadsafe(work, self._loop)


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


def _run_loop(loop: asyncio.AbstractEventLoop) -> None:
    try:
        loop.run_forever()
        loop.run_until_complete(loop.shutdown_asyncgens())
    finally:
        loop.close()
