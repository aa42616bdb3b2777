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

from mistral_offload._config_arguments import require_config
from mistral_offload._native_threads import wait_for_native_threads_at_exit
from mistral_offload.config import LostBlobConfig, PayloadOffloadingConfig
from mistral_offload.errors import ConfigurationError
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.activity_handles import ActivityHandleOwners
from mistral_offload.temporal.codec import OffloadingCodec
from mistral_offload.temporal.composition import composed_converter, replaced_parts
from mistral_offload.temporal.heartbeats import USUAL_PACE, HeartbeatPace
from mistral_offload.temporal.interceptors import ContextInterceptor
from mistral_offload.temporal.plugin_order import (
    ConverterGuard,
    check_replayer,
    check_worker,
    check_worker_client,
)
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

    A client's workers get the plugin from the client. Pass it to a ``Replayer`` as well. List it
    after the plugins that set a data converter: it adds its parts to that one. A configured payload
    codec is applied first, to what is sent, and sees it as without the plugin.

    Example:
        ``await Client.connect(target, plugins=[OffloadPlugin(config)])``

    Args:
        config: the store for large payloads, and the size from which they are offloaded.
        encoder: an encoder, instead of a configuration; for encryption or compression as well.
        lost_blobs: conditions under which a worker ends an execution because a blob is missing.
        deadlock_timeout: time that a workflow's code may take without yielding, before its workflow
            task fails; temporalio's own limit is 2 s. Not for replayers.
        add_contexts: True to send every value in the platform's form, ``json/wf_v1``, with the
            execution it belongs to. By default a payload that is not offloaded, encrypted or
            compressed has the encoding it has without the plugin.

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
        add_contexts: bool = False,
    ) -> None:
        if (config is None) == (encoder is None):
            raise ConfigurationError("OffloadPlugin needs either a configuration or an encoder")
        require_config(config, PayloadOffloadingConfig, "config")
        self._encoder = encoder or PayloadEncoder(config)
        self._lost_blobs = lost_blobs
        self._adds_contexts = add_contexts
        self._deadlock_timeout = deadlock_timeout

    def configure_client(self, config: ClientConfig) -> ClientConfig:
        """Add this package's parts to a client's data converter.

        If a plugin that is listed later replaces them, every call of the client raises
        `ConfigurationError`.

        Raises:
            ConfigurationError: the data converter cannot be combined with them.
        """
        namespace = config["namespace"]
        config["data_converter"] = self._composed(config.get("data_converter"), namespace)
        interceptors = [
            each for each in config["interceptors"] if not isinstance(each, ConverterGuard)
        ]
        if not any(isinstance(each, ActivityHandleOwners) for each in interceptors):
            interceptors = [ActivityHandleOwners(namespace), *interceptors]
        config["interceptors"] = interceptors
        config["interceptors"] = [*interceptors, ConverterGuard(config, self)]
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
            ConfigurationError: the worker's client was connected without the plugin, or its data
                converter was replaced since.
        """
        given: Any = config
        check_worker_client(given["client"], OffloadPlugin)
        config["client"] = worker_client(given["client"], _pace(given))
        self._prepare(config)
        return config

    async def run_worker(self, worker: Worker, next: Callable[[Worker], Awaitable[None]]) -> None:
        """Run the worker and its background tasks.

        A workflow that blocks its thread for ever delays the worker's end by a few seconds.

        Raises:
            ConfigurationError: a plugin that is listed later has replaced this package's parts.
        """
        try:
            check_worker(worker, self)
        except ConfigurationError:
            # The worker never starts, and temporalio's shutdown would wait for its end for ever.
            worker.shutdown = _end_at_once  # type: ignore[method-assign]
            raise
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
            ConfigurationError: the replayer's data converter cannot be combined with the plugin.
        """
        config["data_converter"] = worker_converter(
            self._composed(config.get("data_converter"), None)
        )
        self._prepare(config)
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
        """Replay histories, with the replayer marked as the codec's caller.

        Raises:
            ConfigurationError: a plugin that is listed later has replaced this package's parts.
        """
        check_replayer(replayer, self)
        async with AsyncExitStack() as replaying:
            with worker_scope():
                results = await replaying.enter_async_context(next(replayer, histories))
            yield results

    def _composed(self, given: DataConverter | None, namespace: str | None) -> DataConverter:
        wait_for_native_threads_at_exit()
        given = given or DataConverter.default
        codec = given.payload_codec
        if not (isinstance(codec, OffloadingCodec) and codec.encodes_with(self._encoder)):
            return composed_converter(
                given,
                self._encoder,
                lost_blobs=self._lost_blobs,
                adds_contexts=self._adds_contexts,
                namespace=namespace,
            )
        # The configuration of a client that has the plugin already.
        parts = replaced_parts(given)
        if parts:
            raise ConfigurationError(
                f"the data converter has the codec of OffloadPlugin, but {', '.join(parts)} "
                "was replaced. Give the plugin your own converter, without its parts"
            )
        if namespace is None:  # a replayer's
            return given
        return replace(given, payload_codec=codec.for_namespace(namespace))

    def _prepare(self, config: Any) -> None:
        configure_activations(config)
        interceptors: list[Any] = list(config.get("interceptors") or ())
        if not any(isinstance(each, ContextInterceptor) for each in interceptors):
            own = ContextInterceptor(add_contexts=self._adds_contexts)
            config["interceptors"] = [own, *interceptors]
        runner = config.get("workflow_runner")
        if isinstance(runner, SandboxedWorkflowRunner):
            config["workflow_runner"] = replace(
                runner, restrictions=pass_through(runner.restrictions)
            )


async def _end_at_once() -> None:
    pass


def _pace(config: Any) -> HeartbeatPace:
    return HeartbeatPace(
        config.get("max_heartbeat_throttle_interval", USUAL_PACE.longest),
        config.get("default_heartbeat_throttle_interval", USUAL_PACE.default),
    )
