"""The worker: finds Temporal, registers its workflows and runs them until it is stopped."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from collections.abc import Callable, Coroutine, Generator, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, TypeVar

import httpx
from temporalio.client import Client
from temporalio.worker import Worker, WorkerConfig

from mistral_offload._event_loops import require_event_loop
from mistral_offload.environment.discovery import TemporalAddress, find_temporal
from mistral_offload.environment.platform_api import Platform
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.environment.temporal_client import connect
from mistral_offload.environment.variable_names import describe_misspelt
from mistral_offload.errors import ConfigurationError
from mistral_offload.events.reporter import WorkerReporter
from mistral_offload.fields.interceptor import FieldInterceptor
from mistral_offload.fields.offloader import FieldOffloader
from mistral_offload.files.configuration import configured_files
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.interceptors import ContextInterceptor
from mistral_offload.temporal.sandbox import sandbox_runner
from mistral_offload.temporal.worker_activations import (
    activations_bounded,
    configure_activations,
    shutdown_noticed,
)
from mistral_offload.temporal.worker_client import hold_outgoing_data, worker_client
from mistral_offload.temporal.worker_lifespan import worker_lifespan
from mistral_offload.temporal.worker_scope import worker_scope
from mistral_offload.workflows.activities import Activity
from mistral_offload.workflows.activity_adapter import ArgumentsInterceptor, activity_definition
from mistral_offload.workflows.definitions import WorkflowDefinition, definition_of
from mistral_offload.workflows.health import WorkerHealth
from mistral_offload.workflows.health_server import health_served
from mistral_offload.workflows.registration import WorkerRegistration, describe_workflow, locate
from mistral_offload.workflows.registry import by_name, registry
from mistral_offload.workflows.shutdown import stop_signals
from mistral_offload.workflows.storage_check import check_stores, warn_of_unknown_namespace
from mistral_offload.workflows.uncaught_errors import shown_without_traceback
from mistral_offload.workflows.worker_end import end_in_time

T = TypeVar("T")

_logger = logging.getLogger("mistral_offload.worker")


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """Limits of a worker; see `run_worker`.

    Attributes:
        max_cached_workflows: workflow runs kept in memory between their tasks.
        max_concurrent_workflow_tasks: workflow tasks handled concurrently; Temporal's default if
            None.
        max_concurrent_activities: activities run concurrently, and threads for those that are not
            ``async def``.
        graceful_shutdown_timeout: time that running activities have to end after a stop.
        deadlock_timeout: time that a workflow's code may take without yielding, before its workflow
            task fails; the settings' ``workflow_deadlock_timeout_seconds`` if None.
        passthrough_modules: modules that the sandbox shares with workflows; see `sandbox_runner`.
        health_port: port of ``GET /ready`` and ``GET /live``, 0 for a free one; None for no server.
        health_host: address to bind for it; any but loopback exposes it to the network.
        on_stop: called when the first SIGTERM or SIGINT is received.
    """

    max_cached_workflows: int = 1000
    max_concurrent_workflow_tasks: int | None = None
    max_concurrent_activities: int = 100
    graceful_shutdown_timeout: timedelta = timedelta(seconds=20)
    deadlock_timeout: timedelta | None = None
    passthrough_modules: Sequence[str] = ()
    health_port: int | None = None
    health_host: str = "127.0.0.1"
    on_stop: Callable[[], None] | None = None


async def run_worker(
    workflows: Iterable[type],
    *,
    activities: Iterable[Activity[..., Any]] | None = None,
    api_key: str | None = None,
    namespace: str | None = None,
    settings: WorkerSettings | None = None,
    options: WorkerOptions = WorkerOptions(),
    encoder: PayloadEncoder | None = None,
    fields: FieldOffloader | None = None,
    worker_name: str | None = None,
    register: bool = True,
    client: httpx.AsyncClient | None = None,
) -> None:
    """Run workflows and activities until SIGTERM or SIGINT, or until cancelled.

    Requests Temporal's address from the platform, connects, registers the workflows, and sends
    heartbeats. When stopped, the worker accepts no more tasks, and running activities have
    ``options.graceful_shutdown_timeout`` to end. A workflow that then still blocks its thread is
    named in the log, and not waited for; a minute later nothing else is either.

    Example:
        ``asyncio.run(workflows.run_worker([MyWorkflow]))`` below ``if __name__ == "__main__":``
        is a complete worker.

    Args:
        workflows: classes decorated with ``workflow.define``.
        activities: decorated functions; all that are decorated in this process if not given.
        api_key: API key for the platform instead of the settings' key or token file; also sent to
            Temporal over TLS, unless the settings have a key for Temporal.
        namespace: Temporal namespace; that of the settings, else the platform's, if not given.
        settings: settings of the worker; read from the environment if not given.
        options: limits of the worker.
        encoder: encodes payloads; made from the settings' payload variables if not given.
        fields: offloads activity fields; made from the settings' activity field variables if not
            given.
        worker_name: name of this process on the platform; host name and process id if not given.
        register: False to use Temporal only, without the platform.
        client: HTTP client for the requests to the platform; not closed.

    Raises:
        ConfigurationError: settings are invalid, or a workflow or activity cannot be run. If no
            caller catches it, the program ends with its message, without a traceback.
        StorageCheckError: a configured store cannot be used.
        EventLoopError: no asyncio event loop runs, for example under trio.
        APIConnectionError: the platform or Temporal did not respond during the start.
        APIError: the platform refused a request.
    """
    require_event_loop("use asyncio.run(run_worker(…)), under trio in a thread: Temporal needs it")
    with shown_without_traceback():
        settings = (settings or WorkerSettings()).replace(api_key=api_key, namespace=namespace)
        definitions = _unique_definitions(definition_of(cls) for cls in workflows)
        selected = list(by_name(registry.all() if activities is None else activities).values())
        specs = [describe_workflow(found, task_queue=settings.task_queue) for found in definitions]
        for activity in selected:
            activity.check()
        _configure_logging()
        if misspelt := settings.misspelt_variables():
            _logger.warning("Variables of the environment: %s; %s", *describe_misspelt(misspelt))
        if register and client is None:
            settings.require_platform_token()
        name = worker_name or f"{socket.gethostname()}-{os.getpid()}"
        own_payloads, own_fields = encoder is None, fields is None
        encoder = encoder or settings.payload_encoder()
        fields = fields or FieldOffloader(
            settings.field_offloading,
            blob_codec=encoder,
            files=configured_files(
                settings.field_offloading, settings.payload_offloading, encoder.field_cipher
            ),
        )
        lost_blobs = settings.lost_blob_config

        async with AsyncExitStack() as stack:
            stop = stack.enter_context(stop_signals(options.on_stop))
            health = WorkerHealth(settings, stop, payloads=own_payloads, fields=own_fields)
            await stack.enter_async_context(
                health_served(health, options.health_host, options.health_port)
            )
            platform = None
            if register:
                platform = Platform(settings, client)
                stack.push_async_callback(platform.close)

            async def start() -> tuple[TemporalAddress, Client]:
                if settings.check_storage_on_start:
                    await check_stores(settings, payloads=own_payloads, fields=own_fields)
                address = await find_temporal(settings, platform)
                if settings.check_storage_on_start:
                    await warn_of_unknown_namespace(
                        settings, address.namespace, payloads=own_payloads, fields=own_fields
                    )
                token = settings.temporal_token(tls=address.tls)
                return address, await connect(
                    address, encoder=encoder, lost_blobs=lost_blobs, token=token, identity=name
                )

            started = await _run_until(stop, start())
            if started is None:
                return
            address, temporal = started
            await stack.enter_async_context(worker_lifespan(temporal))
            registration = None
            if platform is not None:
                registration = WorkerRegistration(
                    platform, specs, worker_name=name, location=locate(settings)
                )
                await _run_until(stop, registration.register())
            threads = stack.enter_context(_activity_threads(selected, options))
            worker = _make_worker(
                worker_client(temporal),
                settings.task_queue,
                definitions,
                selected,
                threads,
                FieldInterceptor(fields, lost_blobs=lost_blobs),
                options,
            )
            hold_outgoing_data(worker)
            health.use_worker(worker, temporal)
            if platform is not None and settings.mistral_offload_events != "off":
                reporter = WorkerReporter(
                    settings,
                    temporal,
                    encoder=encoder,
                    display_names={each.name: each.display_name for each in definitions},
                    http_client=client,
                )
                stack.push_async_callback(reporter.close)
                reporter.observe(worker)
            _log_start(name, address, settings, encoder, fields, definitions, selected)

            def renew_token() -> None:
                token = settings.temporal_token(tls=address.tls)
                if token != temporal.api_key:
                    temporal.api_key = token

            heartbeats = registration.keep_alive(renew_token) if registration else None
            timeout = options.deadlock_timeout or settings.workflow_deadlock_timeout
            await _serve(worker, options, timeout, heartbeats, stop)


@contextmanager
def _activity_threads(
    activities: Sequence[Activity[..., Any]], options: WorkerOptions
) -> Generator[ThreadPoolExecutor | None]:
    """Provide threads for activities that are not ``async def``; None if there are none."""
    if all(activity.is_async for activity in activities):
        yield None
        return
    threads = ThreadPoolExecutor(options.max_concurrent_activities, thread_name_prefix="activity")
    try:
        yield threads
    finally:
        threads.shutdown(wait=False, cancel_futures=True)


def _make_worker(
    client: Client,
    task_queue: str,
    definitions: Sequence[WorkflowDefinition],
    activities: Sequence[Activity[..., Any]],
    threads: ThreadPoolExecutor | None,
    fields: FieldInterceptor,
    options: WorkerOptions,
) -> Worker:
    config: WorkerConfig = {
        "client": client,
        "task_queue": task_queue,
        "workflows": [definition.cls for definition in definitions],
        "activities": [activity_definition(activity) for activity in activities],
        "activity_executor": threads,
        # The first is the outermost: contexts around payloads, arguments around fields.
        "interceptors": [ContextInterceptor(), ArgumentsInterceptor(), fields],
        "workflow_runner": sandbox_runner(*options.passthrough_modules),
        "max_cached_workflows": options.max_cached_workflows,
        "max_concurrent_workflow_tasks": options.max_concurrent_workflow_tasks,
        "max_concurrent_activities": options.max_concurrent_activities,
        "graceful_shutdown_timeout": options.graceful_shutdown_timeout,
    }
    configure_activations(config)
    return Worker(**config)


async def _serve(
    worker: Worker,
    options: WorkerOptions,
    deadlock_timeout: timedelta,
    heartbeats: Coroutine[Any, Any, None] | None,
    stop: asyncio.Event,
) -> None:
    """Run until stopped; an error in a part ends all parts and is raised."""
    running = asyncio.create_task(_run(worker, deadlock_timeout))
    others: list[asyncio.Task[Any]] = [asyncio.create_task(stop.wait())]
    if heartbeats is not None:
        others.append(asyncio.create_task(heartbeats))
    ended = True
    try:
        done, _ = await asyncio.wait([running, *others], return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in others:
            task.cancel()
        if not running.done():
            ended = await end_in_time(worker, running, options.graceful_shutdown_timeout)
    if ended:
        await running
    for task in done:
        task.result()


async def _run(worker: Worker, deadlock_timeout: timedelta) -> None:
    with (
        worker_scope(),
        activations_bounded(worker, deadlock_timeout) as stopping,
        shutdown_noticed(worker, stopping),
    ):
        await worker.run()


async def _run_until(stop: asyncio.Event, work: Coroutine[Any, Any, T]) -> T | None:
    """Return the result of some work; when stopped before, cancel the work and return None."""
    working = asyncio.create_task(work)
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait([working, stopping], return_when=asyncio.FIRST_COMPLETED)
        return working.result() if working.done() else None
    finally:
        for task in (working, stopping):
            task.cancel()
        await asyncio.gather(working, stopping, return_exceptions=True)


def _unique_definitions(definitions: Iterable[WorkflowDefinition]) -> list[WorkflowDefinition]:
    found: dict[str, WorkflowDefinition] = {}
    for definition in definitions:
        other = found.setdefault(definition.name, definition)
        if other.cls is not definition.cls:
            raise ConfigurationError(
                f"two workflows are named {definition.name!r}: {other.cls.__qualname__} and "
                f"{definition.cls.__qualname__}"
            )
        if definition.enforce_determinism and "." in definition.cls.__qualname__:
            raise ConfigurationError(
                f"workflow {definition.cls.__qualname__} must be defined at the top level of its "
                "module, because Temporal's sandbox imports it from there"
            )
    if not found:
        raise ConfigurationError("a worker needs at least one workflow: run_worker([MyWorkflow])")
    return list(found.values())


def _log_start(
    name: str,
    address: TemporalAddress,
    settings: WorkerSettings,
    encoder: PayloadEncoder,
    fields: FieldOffloader,
    definitions: Sequence[WorkflowDefinition],
    activities: Sequence[Activity[..., Any]],
) -> None:
    _logger.info(
        "Worker %s: Temporal at %s, namespace %s, task queue %s; workflows: %s; activities: %s; "
        "payload %s; activity fields: %s",
        name,
        address.target,
        address.namespace,
        settings.task_queue,
        ", ".join(definition.name for definition in definitions),
        ", ".join(activity.name for activity in activities) or "none",
        encoder.description,
        fields.description,
    )


def _configure_logging() -> None:
    """Log the worker's own messages to stderr in a program that configures no logging."""
    log = logging.getLogger("mistral_offload")
    if not log.hasHandlers():
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(message)s"))
        log.addHandler(handler)
        log.setLevel(logging.INFO)
