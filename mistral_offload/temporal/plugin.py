"""Everything a plain temporalio client, worker or replayer needs, as one plugin."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import replace
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

from mistral_offload.config import PayloadOffloadingConfig
from mistral_offload.errors import ConfigurationError
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.codec import OffloadingCodec
from mistral_offload.temporal.converter import data_converter
from mistral_offload.temporal.interceptors import ContextInterceptor
from mistral_offload.temporal.sandbox import hand_through
from mistral_offload.temporal.worker_client import worker_client, worker_converter
from mistral_offload.temporal.worker_lifespan import worker_lifespan
from mistral_offload.temporal.worker_scope import worker_scope


class OffloadPlugin(temporalio.client.Plugin, temporalio.worker.Plugin):
    """Payload offloading for ``Client.connect(plugins=[…])``; its workers have it, too.

    Give it to a ``Replayer`` as well, and to a worker only when its client was given it.

    Args:
        config: where large payloads go, and from which size.
        encoder: instead of a configuration, for encryption or compression as well.

    Raises:
        ConfigurationError: neither or both of configuration and encoder are given.
    """

    def __init__(
        self,
        config: PayloadOffloadingConfig | None = None,
        *,
        encoder: PayloadEncoder | None = None,
    ) -> None:
        if (config is None) == (encoder is None):
            raise ConfigurationError("OffloadPlugin takes a configuration or an encoder")
        self._converter = data_converter(encoder or PayloadEncoder(config))

    def configure_client(self, config: ClientConfig) -> ClientConfig:
        """Give the client our data converter.

        Raises:
            ConfigurationError: it has one of its own already.
        """
        config["data_converter"] = self._replacing(config.get("data_converter"))
        return config

    async def connect_service_client(
        self, config: ConnectConfig, next: Callable[[ConnectConfig], Awaitable[ServiceClient]]
    ) -> ServiceClient:
        """Connect as before."""
        return await next(config)

    def configure_worker(self, config: WorkerConfig) -> WorkerConfig:
        """Give the worker our interceptor and what its sandbox hands through.

        Raises:
            ConfigurationError: its client was connected without the plugin.
        """
        given: Any = config
        codec = given["client"].data_converter.payload_codec
        if not isinstance(codec, OffloadingCodec):
            raise ConfigurationError(
                "the worker's client has no OffloadPlugin: give it to "
                "Client.connect(plugins=[OffloadPlugin(…)]), and the worker has it, too"
            )
        config["client"] = worker_client(given["client"])
        _prepare(config)
        return config

    async def run_worker(self, worker: Worker, next: Callable[[Worker], Awaitable[None]]) -> None:
        """Run the worker and its background tasks."""
        async with worker_lifespan(worker.client):
            with worker_scope():
                await next(worker)

    def configure_replayer(self, config: ReplayerConfig) -> ReplayerConfig:
        """Give the replayer the same as client and worker.

        Raises:
            ConfigurationError: it has a data converter of its own already.
        """
        converter = self._replacing(config.get("data_converter"))
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
        """Replay histories."""
        async with AsyncExitStack() as replaying:
            with worker_scope():
                results = await replaying.enter_async_context(next(replayer, histories))
            yield results

    def _replacing(self, given: DataConverter | None) -> DataConverter:
        plain = (None, DataConverter.default, pydantic_data_converter, self._converter)
        if given not in plain:
            raise ConfigurationError(
                "OffloadPlugin brings a data converter, and another one is configured. Leave it "
                "out (models of pydantic are converted), or put the pieces of "
                "mistral_offload.temporal together yourself"
            )
        return self._converter


def _prepare(config: Any) -> None:
    interceptors: list[Any] = list(config.get("interceptors") or ())
    if not any(isinstance(each, ContextInterceptor) for each in interceptors):
        config["interceptors"] = [ContextInterceptor(), *interceptors]
    runner = config.get("workflow_runner")
    if isinstance(runner, SandboxedWorkflowRunner):
        config["workflow_runner"] = replace(runner, restrictions=hand_through(runner.restrictions))
