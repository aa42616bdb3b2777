"""Temporal's development server as a child process, and the platform's connection to it."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from datetime import timedelta
from functools import cache
from ipaddress import ip_address
from pathlib import Path
from typing import IO

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.runtime import Runtime, TelemetryConfig
from temporalio.service import RPCError
from typing_extensions import Self

from mistral_offload.devserver import supervisor
from mistral_offload.devserver.errors import LocalPlatformError
from mistral_offload.devserver.ports import format_address, free_port, is_listening
from mistral_offload.devserver.skipped_time import SERVER_SETTING
from mistral_offload.errors import MissingExtraError

DEFAULT_NAMESPACE = "mistral-workflows"

_START_SECONDS = 30.0
_SAVE_SECONDS = 8.0
_SEARCH_ATTRIBUTES = ("OtelTraceId",)
"""Those that workers of the official SDK set on every run."""

_STOP_SECONDS = 0.3
_PAUSE_SECONDS = 0.01
_SHOWN_LOG_BYTES = 4096


class TemporalServer:
    """A Temporal server on an address of this machine, as a context manager.

    The server ends with the process that started it, however that process ends.

    Args:
        ip: address to bind.
        port: port to bind, or 0 for a free one.
        namespace: namespace that exists once the server is ready.
        db: file in which the server keeps its state; without one, the state is lost on stop.
        ui: also serve Temporal's UI.
        ui_port: port of the UI, or 0 for a free one.
        ui_codec: URL of the codec server that the UI uses; None for none.
        log_level: log level of the server: debug, info, warn, error or never.
        logs: file for its output; without one, the output is captured, and shown if the start
            fails.
    """

    def __init__(
        self,
        *,
        ip: str = "127.0.0.1",
        port: int = 0,
        namespace: str = DEFAULT_NAMESPACE,
        db: Path | None = None,
        ui: bool = False,
        ui_port: int = 0,
        ui_codec: str | None = None,
        log_level: str = "error",
        logs: IO[bytes] | None = None,
    ) -> None:
        self.ip = ip
        self.port = port
        self.namespace = namespace
        self.ui_port = ui_port
        self.ui_codec = ui_codec
        self._ui = ui
        self._requested_port = port
        self._db = db
        self._log_level = log_level
        self._logs = logs
        self._captured: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """``host:port`` for a Temporal client on this machine."""
        return format_address(self.ip, self.port)

    def address_for(self, host: str | None) -> str:
        """Return ``host:port`` for a Temporal client that reaches this machine as ``host``."""
        if host is None or not ip_address(self.ip).is_unspecified:
            return self.address
        return format_address(host, self.port)

    @property
    def ui_url(self) -> str | None:
        """URL of the UI, known after the start or if a port was given; None without ``ui``."""
        return f"http://{format_address(self.ip, self.ui_port)}" if self._ui else None

    @property
    def running(self) -> bool:
        """True while the process is alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until its namespace is available.

        Raises:
            MissingExtraError: the server is not installed.
            LocalPlatformError: it ended, or was not ready in time; the message has its output.
        """
        if self._process is not None:
            return
        binary = find_temporal()
        self.port = free_port(self.ip, self._requested_port)
        if self._ui:
            self.ui_port = free_port(self.ip, self.ui_port)
        if self._logs is None:
            self._captured = tempfile.TemporaryFile()  # noqa: SIM115
        output = self._logs or self._captured
        self._process = subprocess.Popen(  # noqa: S603
            self._command(binary),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            # Ctrl-C in a terminal would reach the server too; the owner stops it instead.
            start_new_session=True,
        )
        try:
            self._wait_until_ready(time.monotonic() + _START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server; returns when it has ended. Can be called repeatedly."""
        process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            try:
                process.wait(self._grace + 2)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.returncode < 0:
                _kill_session(process.pid)
        if self._captured is not None:
            self._captured.close()
            self._captured = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def output(self) -> str:
        """Return the end of the server's output; empty if it is not captured."""
        if self._captured is None:
            return ""
        # Without seeking: the server writes at the file position, which is shared.
        start = max(0, os.fstat(self._captured.fileno()).st_size - _SHOWN_LOG_BYTES)
        tail = os.pread(self._captured.fileno(), _SHOWN_LOG_BYTES, start)
        return tail.decode(errors="replace").strip()

    @property
    def _grace(self) -> float:
        """Seconds from SIGTERM to SIGKILL; a server without a file has nothing to save."""
        return _STOP_SECONDS if self._db is None else _SAVE_SECONDS

    def _command(self, binary: Path) -> list[str]:
        command = [sys.executable, "-I", "-S", supervisor.__file__, str(self._grace)]
        command += [str(binary), "server", "start-dev"]
        command += ["--ip", self.ip, "--port", str(self.port)]
        command += ["--namespace", self.namespace, "--log-level", self._log_level]
        command += ["--dynamic-config-value", SERVER_SETTING]
        for name in _SEARCH_ATTRIBUTES:
            command += ["--search-attribute", f"{name}=Keyword"]
        if self._db is not None:
            command += ["--db-filename", str(self._db)]
        if not self._ui:
            return [*command, "--headless"]
        command += ["--ui-port", str(self.ui_port), "--ui-disable-news-fetch"]
        if self.ui_codec is not None:
            command += ["--ui-codec-endpoint", self.ui_codec]
        return command

    def _wait_until_ready(self, deadline: float) -> None:
        while not is_listening(self.ip, self.port):
            self._require_starting(deadline)
            time.sleep(_PAUSE_SECONDS)
        # In another thread, since the caller may have an event loop running in this one.
        ready = threading.Event()
        probe = threading.Thread(
            target=lambda: asyncio.run(_probe(self.address, self.namespace, deadline, ready)),
            name="temporal-probe",
            daemon=True,
        )
        probe.start()
        while probe.is_alive():
            probe.join(0.1)
            self._require_starting(deadline)
        if not ready.is_set():
            raise self._failure("did not respond")

    def _require_starting(self, deadline: float) -> None:
        if not self.running:
            raise self._failure("ended before it was ready")
        if time.monotonic() > deadline:
            raise self._failure(f"was not ready within {_START_SECONDS:g} s")

    def _failure(self, problem: str) -> LocalPlatformError:
        output = self.output()
        return LocalPlatformError(
            f"the Temporal server on {self.address} {problem}" + (f":\n{output}" if output else "")
        )


async def connect(address: str, namespace: str) -> Client:
    """Connect the platform itself to the server at ``address``."""
    return await Client.connect(address, namespace=namespace, runtime=_runtime())


@cache
def _runtime() -> Runtime:
    """Return the process's runtime for the platform.

    Not the default runtime, which logs to stdout, and which a program that embeds the platform may
    still want to set.
    """
    return Runtime(telemetry=TelemetryConfig(logging=None))


def find_temporal() -> Path:
    """Find the server's binary: in this interpreter's environment, else on the PATH.

    Raises:
        MissingExtraError: there is none.
    """
    for scheme in (sysconfig.get_default_scheme(), f"{os.name}_user"):
        scripts = sysconfig.get_path("scripts", scheme)
        if found := shutil.which("temporal", path=scripts):
            return Path(found)
    if found := shutil.which("temporal"):
        return Path(found)
    raise MissingExtraError("the local platform", "dev")


async def _probe(address: str, namespace: str, deadline: float, ready: threading.Event) -> None:
    """Poll for the namespace until it exists: the port opens before that."""
    while time.monotonic() < deadline:
        try:
            client = await connect(address, namespace)
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=namespace), timeout=timedelta(seconds=2)
            )
        except (RPCError, RuntimeError):  # the client raises RuntimeError if it cannot connect
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            ready.set()
            return


def _kill_session(leader: int) -> None:
    """Kill processes left behind by a killed supervisor, which led its own session and group."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
