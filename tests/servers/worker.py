"""Runs the example worker as a process, with a user's settings."""

from __future__ import annotations

import os
import signal
import sys
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Protocol

import httpx

from tests.servers.process import ServerProcess

EXAMPLE = Path(__file__).parents[2] / "examples" / "worker" / "worker.py"


class Platform(Protocol):
    """The worker's platform: a `LocalPlatform`, or the command that runs one."""

    @property
    def server_url(self) -> str:
        """URL of the REST API."""
        ...

    @property
    def api_key(self) -> str:
        """An API key that it accepts."""
        ...


class WorkerProcess:
    """A worker of the local platform, on its own task queue.

    Attributes:
        deployment: its deployment, which is its task queue.
        storage: its storage block.
    """

    def __init__(
        self,
        platform: Platform,
        storage: Mapping[str, str],
        *,
        script: Path = EXAMPLE,
        deployment: str | None = None,
        environment: Mapping[str, str] | None = None,
        python: Path | str = sys.executable,
        timeout: float = 50.0,
    ) -> None:
        self.storage = dict(storage)
        self.deployment = deployment or f"tests-{uuid.uuid4().hex[:8]}"
        prefix = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__"
        known = f"{platform.server_url}/v1/workflows?deployment_name={self.deployment}"
        headers = {"authorization": f"Bearer {platform.api_key}"}

        def registered() -> bool:
            return bool(httpx.get(known, headers=headers).json()["workflows"])

        self._process = ServerProcess(
            [python, script],
            ready=registered,
            timeout=timeout,
            environment={
                "SERVER_URL": platform.server_url,
                "MISTRAL_API_KEY": platform.api_key,
                **{f"{prefix}{name.upper()}": value for name, value in storage.items()},
                "DEPLOYMENT_NAME": self.deployment,
                **(environment or {}),
            },
        )

    @property
    def pid(self) -> int:
        """Process id of the worker."""
        return self._process.pid

    def kill(self) -> None:
        """Kill the worker without warning."""
        os.kill(self.pid, signal.SIGKILL)

    def log(self) -> str:
        """Return the end of its output."""
        return self._process.log()

    def full_log(self) -> str:
        """Return its complete output."""
        return self._process.full_log()

    def stop(self) -> None:
        """Terminate the worker, and wait."""
        self._process.stop(grace=15)
