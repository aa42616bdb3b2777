"""gcp-storage-emulator, which stores the lifecycle of buckets; fake-gcs-server does not."""

from __future__ import annotations

import json
import sysconfig
import urllib.request
import uuid
from pathlib import Path
from typing import Any

from tests.servers.process import ServerProcess, accepts_connections, free_ports


class GCSBuckets:
    """A running server that keeps everything in memory and requires no credentials.

    It counts the versions of a bucket, but ignores conditions on them.

    Attributes:
        url: URL of the JSON API, over plain HTTP.
        port: the port of ``url``.
    """

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        program = Path(sysconfig.get_path("scripts")) / "gcp-storage-emulator"
        command: list[str | Path] = [program, "start", "--host", "127.0.0.1"]
        command += ["--port", str(self.port), "--quiet", "--in-memory"]
        self._process = ServerProcess(command, ready=lambda: accepts_connections(self.port))

    def make_bucket(self) -> str:
        """Create a bucket with a unique name; return the name."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        self._ask("POST", "?project=tests", {"name": name})
        return name

    def lifecycle(self, bucket: str) -> Any:
        """Return a bucket's lifecycle, without using any library; None if it has none."""
        return self._ask("GET", f"/{bucket}").get("lifecycle")

    def set_lifecycle(self, bucket: str, lifecycle: dict[str, Any]) -> None:
        """Replace a bucket's lifecycle, as another program would."""
        self._ask("PATCH", f"/{bucket}", {"lifecycle": lifecycle})

    def stop(self) -> None:
        """Stop the server."""
        self._process.stop()

    def _ask(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        request = urllib.request.Request(
            f"{self.url}/storage/v1/b{path}",
            method=method,
            data=json.dumps(body).encode() if body is not None else None,
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            found: dict[str, Any] = json.load(answer)
            return found
