"""A temporalio plugin that configures clients, workers and replayers for this package."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import temporalio.client
import temporalio.worker
from temporalio.client import ClientConfig, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import DataConverter
from temporalio.service import ConnectConfig, ServiceClient
from temporalio.worker import (
    Replayer,
    ReplayerConfig,
    Worker,
    WorkerConfig,
    WorkflowReplayResult,
)
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from mistral_offload.config import LostBlobConfig, PayloadOffloadingConfig
from mistral_offload.errors import ConfigurationError
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.activity_handles import ActivityHandleOwners
from mistral_offload.temporal.codec import OffloadingCodec
from mistral_offload.temporal.converter import data_converter
from mistral_offload.temporal.heartbeats import USUAL_PACE, HeartbeatPace
from mistral_offload.temporal.interceptors import ContextInterceptor
from mistral_offload.temporal.sandbox import pass_through
from mistral_offload.temporal.worker_activations import (
    DEFAULT_DEADLOCK_TIMEOUT,
    activations_bounded,
    cancellation_noticed,
    configure_activations,
    shutdown_noticed,
)
from mistral_offload.temporal.worker_client import (
    hold_outgoing_data,
    worker_client,
    worker_converter,
)
from mistral_offload.temporal.worker_lifespan import worker_lifespan
from mistral_offload.temporal.worker_scope import worker_scope


class OffloadPlugin(temporalio.client.Plugin, temporalio.worker.Plugin):
    """Payload offloading for Temporal clients, their workers, and replayers.

    A client's workers get the plugin from the client. Pass it to a ``Replayer`` as well.

    Example:
        ``await Client.connect(target, plugins=[OffloadPlugin(config)])``

    Args:
        config: the store for large payloads, and the size from which they are offloaded.
        encoder: an encoder, instead of a configuration; for encryption or compression as well.
        lost_blobs: conditions under which a worker ends an execution because a blob is missing.
        deadlock_timeout: time that a workflow's code may take without yielding, before its workflow
            task fails; temporalio's own limit is 2 s. Not for replayers.

    Raises:
        ConfigurationError: neither or both of configuration and encoder are given.
    """

    def __init__(
        self,
        config: PayloadOffloadingConfig | None = None,
        *,
        encoder: PayloadEncoder | None = None,
        lost_blobs: LostBlobConfig = LostBlobConfig(),
        deadlock_timeout: timedelta = DEFAULT_DEADLOCK_TIMEOUT,
    ) -> None:
        if (config is None) == (encoder is None):
            raise ConfigurationError("OffloadPlugin needs either a configuration or an encoder")
        self._converter = data_converter(encoder or PayloadEncoder(config), lost_blobs=lost_blobs)
        self._by_namespace: dict[str, DataConverter] = {}
        self._deadlock_timeout = deadlock_timeout

    def configure_client(self, config: ClientConfig) -> ClientConfig:
        """Configure a client with this package's data converter.

        Raises:
            ConfigurationError: the client is configured with another data converter.
        """
        namespace = config["namespace"]
        converter = self._converter_instead_of(config.get("data_converter"))
        config["data_converter"] = self._for_namespace(converter, namespace)
        interceptors = config["interceptors"]
        if not any(isinstance(each, ActivityHandleOwners) for each in interceptors):
            config["interceptors"] = [ActivityHandleOwners(namespace), *interceptors]
        return config

    async def connect_service_client(
        self, config: ConnectConfig, next: Callable[[ConnectConfig], Awaitable[ServiceClient]]
    ) -> ServiceClient:
        """Connect without changes."""
        return await next(config)

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Configure a worker with this package's parts.

        These are an interceptor, passed-through modules, a client of its own, and an executor that
        never runs two activations of one workflow run at the same time. A configured
        ``workflow_task_executor`` is used for the threads, and not closed.

        Raises:
            ConfigurationError: the worker's client was connected without the plugin.
        """
        given: Any = config
        codec = given["client"].data_converter.payload_codec
        if not isinstance(codec, OffloadingCodec):
            raise ConfigurationError(
                "the worker's client has no OffloadPlugin: pass it to "
                "Client.connect(plugins=[OffloadPlugin(…)]); workers get it from their client"
            )
        config["client"] = worker_client(given["client"], _pace(given))
        _prepare(config)
        return config

    async def run_worker(self, worker: Worker, next: Callable[[Worker], Awaitable[None]]) -> None:
        """Run the worker and its background tasks.

        A workflow that blocks its thread for ever delays the worker's end by a few seconds.
        """
        hold_outgoing_data(worker)
        async with worker_lifespan(worker.client):
            with (
                worker_scope(),
                activations_bounded(worker, self._deadlock_timeout) as stopping,
                shutdown_noticed(worker, stopping),
            ):
                await cancellation_noticed(next(worker), stopping)

    def configure_replayer(self, config: ReplayerConfig) -> ReplayerConfig:
        """Configure a replayer like a client and its worker.

        Raises:
            ConfigurationError: the replayer is configured with another data converter.
        """
        converter = self._converter_instead_of(config.get("data_converter"))
        config["data_converter"] = worker_converter(converter)
        _prepare(config)
        return config

    @asynccontextmanager
    async def run_replayer(
        self,
        replayer: Replayer,
        histories: AsyncIterator[WorkflowHistory],
        next: Callable[
            [Replayer, AsyncIterator[WorkflowHistory]],
            AbstractAsyncContextManager[AsyncIterator[WorkflowReplayResult]],
        ],
    ) -> AsyncGenerator[AsyncIterator[WorkflowReplayResult]]:
        """Replay histories, with the replayer marked as the codec's caller."""
        async with AsyncExitStack() as replaying:
            with worker_scope():
                results = await replaying.enter_async_context(next(replayer, histories))
            yield results

    def _converter_instead_of(self, given: DataConverter | None) -> DataConverter:
        ours = (self._converter, *self._by_namespace.values())
        plain = (None, DataConverter.default, pydantic_data_converter, *ours)
        if given not in plain:
            raise ConfigurationError(
                "OffloadPlugin sets the data converter, but another one is configured. Remove that "
                "one (pydantic models are converted without it), or use the parts of "
                "mistral_offload.temporal instead of the plugin"
            )
        return self._converter

    def _for_namespace(self, converter: DataConverter, namespace: str) -> DataConverter:
        codec = converter.payload_codec
        if namespace not in self._by_namespace and isinstance(codec, OffloadingCodec):
            self._by_namespace[namespace] = replace(
                converter, payload_codec=codec.for_namespace(namespace)
            )
        return self._by_namespace[namespace]


def _pace(config: Any) -> HeartbeatPace:
    return HeartbeatPace(
        config.get("max_heartbeat_throttle_interval", USUAL_PACE.longest),
        config.get("default_heartbeat_throttle_interval", USUAL_PACE.default),
    )


def _prepare(config: Any) -> None:
    configure_activations(config)
    interceptors: list[Any] = list(config.get("interceptors") or ())
    if not any(isinstance(each, ContextInterceptor) for each in interceptors):
        config["interceptors"] = [ContextInterceptor(), *interceptors]
    runner = config.get("workflow_runner")
    if isinstance(runner, SandboxedWorkflowRunner):
        config["workflow_runner"] = replace(runner, restrictions=pass_through(runner.restrictions))
