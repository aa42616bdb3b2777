"""Temporal's own development server as a child process."""

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
from ipaddress import ip_address
from pathlib import Path
from typing import IO

from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.service import RPCError
from typing_extensions import Self

from mistral_offload.devserver import supervisor
from mistral_offload.devserver.errors import LocalPlatformError
from mistral_offload.devserver.ports import accepts, free_port, written
from mistral_offload.devserver.temporal_client import connect
from mistral_offload.errors import MissingExtraError

DEFAULT_NAMESPACE = "mistral-workflows"

_START_SECONDS = 30.0
_SAVE_SECONDS = 8.0
_FORGET_SECONDS = 0.3
_PAUSE_SECONDS = 0.01
_SHOWN_LOG_BYTES = 4096


class TemporalServer:
    """One Temporal server on an address of this machine, as a context manager.

    The server dies with the process that started it, whatever ends that process.

    Args:
        ip: address to bind.
        port: port to bind, or 0 for a free one.
        namespace: namespace that exists once the server is ready.
        db: file that keeps the state; without one it is gone when the server stops.
        ui: serve Temporal's own pages, too.
        ui_port: port of those pages, or 0 for a free one.
        ui_codec: where the pages have payloads decoded, if anywhere.
        log_level: what the server logs: debug, info, warn, error or never.
        logs: where its output goes; without it, the output is kept aside and shown when it fails
            to start.
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
        self._asked_port = port
        self._db = db
        self._log_level = log_level
        self._logs = logs
        self._kept: IO[bytes] | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def address(self) -> str:
        """``host:port`` for a Temporal client on this machine."""
        return written(self.ip, self.port)

    def address_for(self, host: str | None) -> str:
        """``host:port`` for a Temporal client that knows this machine as ``host``."""
        if host is None or not ip_address(self.ip).is_unspecified:
            return self.address
        return written(host, self.port)

    @property
    def ui_url(self) -> str | None:
        """Where its pages are; known once it was started, or a port was given."""
        return f"http://{written(self.ip, self.ui_port)}" if self._ui else None

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Start the server and wait until its namespace answers.

        Raises:
            MissingExtraError: the server is not installed.
            LocalPlatformError: it ended, or did not answer in time; the message has its output.
        """
        if self._process is not None:
            return
        binary = find_temporal()
        self.port = free_port(self.ip, self._asked_port)
        if self._ui:
            self.ui_port = free_port(self.ip, self.ui_port)
        if self._logs is None:
            self._kept = tempfile.TemporaryFile()  # noqa: SIM115
        output = self._logs or self._kept
        self._process = subprocess.Popen(  # noqa: S603
            self._command(binary),
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            # Ctrl-C in a terminal reaches the whole foreground group; here the owner decides.
            start_new_session=True,
        )
        try:
            self._wait_until_ready(time.monotonic() + _START_SECONDS)
        except BaseException:
            self.stop()
            raise

    def stop(self) -> None:
        """Stop the server; returns when it is gone. Stopping twice is fine."""
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
        if self._kept is not None:
            self._kept.close()
            self._kept = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    def output(self) -> str:
        """The end of what the server has written, if it is kept."""
        if self._kept is None:
            return ""
        # Not by seeking: the server writes where the shared file position is.
        start = max(0, os.fstat(self._kept.fileno()).st_size - _SHOWN_LOG_BYTES)
        said = os.pread(self._kept.fileno(), _SHOWN_LOG_BYTES, start)
        return said.decode(errors="replace").strip()

    @property
    def _grace(self) -> float:
        """Seconds from SIGTERM to SIGKILL; a server that keeps nothing has nothing to save."""
        return _FORGET_SECONDS if self._db is None else _SAVE_SECONDS

    def _command(self, binary: Path) -> list[str]:
        command = [sys.executable, "-I", "-S", supervisor.__file__, str(self._grace)]
        command += [str(binary), "server", "start-dev"]
        command += ["--ip", self.ip, "--port", str(self.port)]
        command += ["--namespace", self.namespace, "--log-level", self._log_level]
        if self._db is not None:
            command += ["--db-filename", str(self._db)]
        if not self._ui:
            return [*command, "--headless"]
        command += ["--ui-port", str(self.ui_port), "--ui-disable-news-fetch"]
        if self.ui_codec is not None:
            command += ["--ui-codec-endpoint", self.ui_codec]
        return command

    def _wait_until_ready(self, deadline: float) -> None:
        while not accepts(self.ip, self.port):
            self._require_progress(deadline)
            time.sleep(_PAUSE_SECONDS)
        # A thread of its own, because the caller may have an event loop running in this one.
        answered = threading.Event()
        probe = threading.Thread(
            target=lambda: asyncio.run(_probe(self.address, self.namespace, deadline, answered)),
            name="temporal-probe",
            daemon=True,
        )
        probe.start()
        while probe.is_alive():
            probe.join(0.1)
            self._require_progress(deadline)
        if not answered.is_set():
            raise self._failure("did not answer")

    def _require_progress(self, deadline: float) -> None:
        if not self.running:
            raise self._failure("ended before it was ready")
        if time.monotonic() > deadline:
            raise self._failure(f"was not ready within {_START_SECONDS:g} s")

    def _failure(self, what: str) -> LocalPlatformError:
        said = self.output()
        return LocalPlatformError(
            f"the Temporal server on {self.address} {what}" + (f":\n{said}" if said else "")
        )


def find_temporal() -> Path:
    """The server's binary: of this interpreter's environment, else on the PATH.

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


async def _probe(address: str, namespace: str, deadline: float, answered: threading.Event) -> None:
    """Ask for the namespace until it is there: the port opens before it is."""
    while time.monotonic() < deadline:
        try:
            client = await connect(address, namespace)
            await client.workflow_service.describe_namespace(
                DescribeNamespaceRequest(namespace=namespace), timeout=timedelta(seconds=2)
            )
        except (RPCError, RuntimeError):  # the client tells a refused connection by RuntimeError
            await asyncio.sleep(_PAUSE_SECONDS)
        else:
            answered.set()
            return


def _kill_session(leader: int) -> None:
    """Kill what a killed supervisor left behind; its session is its own, and so is the group."""
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
