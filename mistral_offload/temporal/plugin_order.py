"""Refusal of configurations in which another plugin has replaced parts of this package.

Temporal lets each plugin change the configuration, in the order of the list, so a later one can
switch offloading and encryption off. A client's converter is checked when the client has been made,
by an interceptor, and a worker or a replayer when it runs.
"""

from __future__ import annotations

import logging
from asyncio import AbstractEventLoop, get_running_loop
from collections.abc import Mapping, Sequence
from typing import Any, NoReturn

import temporalio.client
from temporalio.client import OutboundInterceptor
from temporalio.worker import Replayer, Worker
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from mistral_offload.errors import ConfigurationError
from mistral_offload.temporal.activity_transfers import ActivityTransfers
from mistral_offload.temporal.codec import OffloadingCodec
from mistral_offload.temporal.composition import replaced_parts
from mistral_offload.temporal.interceptors import ContextInterceptor
from mistral_offload.temporal.outbound.sdk_internals import client_behind
from mistral_offload.temporal.sandbox import passes_through

_logger = logging.getLogger("mistral_offload.worker")


class ConverterGuard(temporalio.client.Interceptor):
    """A client's interceptor that refuses every call if the data converter was replaced.

    It intercepts nothing otherwise.

    Args:
        config: the client's configuration as our plugin returns it; kept and not modified.
        plugin: our plugin.
    """

    def __init__(self, config: Mapping[str, Any], plugin: object) -> None:
        self._config = config
        self._trial = _copied(config)
        self._later = _listed_after(plugin, config.get("plugins", ()))
        self._is_installed = False
        loop = _running_loop()
        if self._later and loop is not None:
            loop.call_soon(self._check_installed)

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:
        """Return the next interceptor, or one that raises at every call."""
        self._is_installed = True
        client = client_behind(next)
        # Without the client, the configuration shows what other plugins have changed in place.
        converter = self._config["data_converter"] if client is None else client.data_converter
        parts = replaced_parts(converter)
        return _Refusal(next, self._message(parts)) if parts else next

    def _check_installed(self) -> None:
        if self._is_installed:
            return
        culprit, parts = self._find_culprit()
        if culprit is not None:
            _logger.error("%s", self._message(parts))

    def _message(self, parts: Sequence[str]) -> str:
        culprit, _ = self._find_culprit()
        others = self._later if culprit is None else [culprit]
        if not others:
            by = "the client's configuration was changed after OffloadPlugin: it replaces"
        elif len(others) == 1:
            by = f"the plugin {_name(others[0])}, which is listed after OffloadPlugin, replaces"
        else:
            by = f"one of the plugins {', '.join(map(_name, others))} replaces"
        return (
            f"{by} its {', '.join(parts)}, so nothing would be offloaded or encrypted. "
            f"{_order(others)}"
        )

    def _find_culprit(self) -> tuple[Any, list[str]]:
        """Find the first plugin whose configuration is refused; configures a copy once more."""
        trial = self._trial
        for plugin in self._later:
            try:
                trial = plugin.configure_client(_copied(trial))
                parts = replaced_parts(trial.get("data_converter"))
            except Exception:  # it works only once; all of them are named then
                return None, []
            if parts:
                return plugin, parts
        return None, []


class _Refusal(OutboundInterceptor):
    """Raises an error at every call of a client."""

    def __init__(self, next: OutboundInterceptor, message: str) -> None:
        super().__init__(next)
        self._message = message

    def __getattribute__(self, name: str) -> Any:
        if name.startswith("_") or name == "next" or not hasattr(OutboundInterceptor, name):
            return super().__getattribute__(name)
        return self._refuse

    def _refuse(self, *args: Any, **kwargs: Any) -> NoReturn:
        raise ConfigurationError(self._message)


def check_worker_client(client: Any, plugin_class: type) -> None:
    """Check the client that a worker is given.

    Args:
        client: the client, as the user made it.
        plugin_class: the class of our plugin.

    Raises:
        ConfigurationError: it was connected without our plugin, or does not have its converter.
    """
    parts = replaced_parts(client.data_converter)
    if not parts:
        return
    plugins = client.config()["plugins"]
    ours = next((each for each in plugins if isinstance(each, plugin_class)), None)
    if ours is None:
        raise ConfigurationError(
            "the worker's client has no OffloadPlugin: pass it to "
            "Client.connect(plugins=[OffloadPlugin(…)]); workers get it from their client"
        )
    raise ConfigurationError(
        f"the worker's client has not the {', '.join(parts)} of its OffloadPlugin any more: "
        f"nothing would be offloaded or encrypted. {_order(_listed_after(ours, plugins))}"
    )


def check_worker(worker: Worker, plugin: object) -> None:
    """Check the final configuration of a worker.

    Raises:
        ConfigurationError: parts of this package were replaced or removed.
    """
    config: Any = worker.config(active_config=True)
    client: Any = config["client"].config(active_config=True)
    parts = replaced_parts(client["data_converter"]) or _not_for_worker(client["data_converter"])
    if not any(isinstance(each, ActivityTransfers) for each in client["interceptors"]):
        parts.append("interceptors of the worker's client")
    given: Any = worker.config()
    plugins = [*given["client"].config()["plugins"], *given.get("plugins", ())]
    _require("worker", [*parts, *_missing(config)], _listed_after(plugin, plugins))


def check_replayer(replayer: Replayer, plugin: object) -> None:
    """Check the final configuration of a replayer.

    Raises:
        ConfigurationError: parts of this package were replaced or removed.
    """
    config: Any = replayer.config(active_config=True)
    converter = config.get("data_converter")
    parts = replaced_parts(converter) or _not_for_worker(converter)
    _require("replayer", [*parts, *_missing(config)], _listed_after(plugin, replayer.plugins))


def _require(kind: str, parts: Sequence[str], later: Sequence[Any]) -> None:
    if parts:
        by = f", by one of the plugins {', '.join(map(_name, later))}" if later else ""
        raise ConfigurationError(
            f"OffloadPlugin has configured the {kind}, but these parts were replaced or removed "
            f"later{by}: {', '.join(parts)}. {_order(later)}"
        )


def _missing(config: Any) -> list[str]:
    missing: list[str] = []
    if not any(isinstance(each, ContextInterceptor) for each in config.get("interceptors") or ()):
        missing.append("interceptors")
    runner = config.get("workflow_runner")
    if isinstance(runner, SandboxedWorkflowRunner) and not passes_through(runner.restrictions):
        missing.append("workflow_runner")
    return missing


def _not_for_worker(converter: Any) -> list[str]:
    codec = converter.payload_codec
    return [] if isinstance(codec, OffloadingCodec) and codec.is_for_worker else ["client"]


def _listed_after(plugin: object, plugins: Sequence[Any]) -> list[Any]:
    positions = [index for index, each in enumerate(plugins) if each is plugin]
    return list(plugins[positions[-1] + 1 :]) if positions else []


def _running_loop() -> AbstractEventLoop | None:
    try:
        return get_running_loop()
    except RuntimeError:
        return None


def _copied(config: Mapping[str, Any]) -> Any:
    copied = dict(config)
    for key, each in copied.items():
        if isinstance(each, list):
            copied[key] = [*each]  # pyright: ignore[reportUnknownVariableType]
    return copied


def _name(plugin: Any) -> str:
    return repr(plugin.name())


def _order(others: Sequence[Any]) -> str:
    names = [*map(_name, others), "OffloadPlugin(…)"]
    if len(names) == 1:
        return "List OffloadPlugin last, and keep what it configures"
    return f"List OffloadPlugin last: plugins=[{', '.join(names)}]"
