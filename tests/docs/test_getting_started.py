"""docs/getting-started.md, walked through as printed: its files are saved, its commands are run.

The port and the bucket are those of the test, and S3 is SeaweedFS. Instead of installing into a
new environment, which takes most of a minute, the commands find this one as their ``.venv``; with
``FRESH_INSTALL=1``, as in the matrix, they install what they print, from a wheel built here.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from tests.bounds import StuckError, wait_until
from tests.docs.pages import DOCS, ROOT
from tests.servers.process import ServerProcess, free_ports
from tests.servers.seaweed import Seaweed

pytestmark = pytest.mark.server  # it starts its own

PAGE = (DOCS / "getting-started.md").read_text()
FRESH = os.environ.get("FRESH_INSTALL") == "1"
_INSTALL_SECONDS = 400
_COMMAND_SECONDS = 60


@dataclass(frozen=True)
class Block:
    """A fenced block of the page.

    Attributes:
        file: the name under which the reader saves it, or None.
    """

    language: str
    text: str
    file: str | None


def page_blocks() -> list[Block]:
    found: list[Block] = []
    end = 0
    for match in re.finditer(r"^```(\w+)\n(.*?)^```", PAGE, re.DOTALL | re.MULTILINE):
        before = PAGE[end : match.start()].strip().rpartition("\n\n")[2]
        saved = re.search(r"[Ss]ave this as `([\w.-]+)`", before)
        found.append(Block(match[1], match[2], saved[1] if saved else None))
        end = match.end()
    return found


class Reader:
    """Someone who follows the page in one directory.

    Attributes:
        environment: variables of all terminals.
        replacements: texts of the page, and those of this test in their place.
    """

    def __init__(self, folder: Path, port: int, bucket: str) -> None:
        self.folder = folder
        self.port = port
        self.environment = {**os.environ, "COLUMNS": "100", "PYTHONDONTWRITEBYTECODE": "1"}
        self.replacements = {"18111": str(port), "my-payloads": bucket}
        self._running: list[ServerProcess] = []
        self._sourced: list[str] = []

    def written(self, text: str) -> str:
        for printed, ours in self.replacements.items():
            text = text.replace(printed, ours)
        return text

    def save(self, block: Block) -> None:
        assert block.file is not None
        (self.folder / block.file).write_text(self.written(block.text))

    def run(self, text: str, *, activated: bool = True, seconds: float = _COMMAND_SECONDS) -> str:
        """Run commands in the third terminal, which keeps its settings; return what they print."""
        before = [". .venv/bin/activate", *self._sourced] if activated else []
        self._sourced += [line for line in text.splitlines() if line.startswith(". ./")]
        ended = subprocess.run(
            ["bash", "-e", "-c", "\n".join([*before, self.written(text)])],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=seconds,
        )
        assert ended.returncode == 0, ended.stdout + ended.stderr
        return ended.stdout

    def start(self, text: str, ready: Callable[[], bool]) -> ServerProcess:
        """Start commands of which the last one keeps running."""
        *lines, last = self.written(text).strip().splitlines()
        script = "\n".join([". .venv/bin/activate", *lines, f"exec {last}"])
        process = ServerProcess(
            ["bash", "-e", "-c", script],
            ready=ready,
            timeout=_COMMAND_SECONDS,
            environment=self.environment,
            directory=self.folder,
        )
        self._running.append(process)
        return process

    def stop(self) -> None:
        while self._running:
            self._running.pop().stop(grace=15)

    def get(self, path: str) -> httpx.Response | None:
        headers = {"authorization": "Bearer my-laptop"}
        try:
            return httpx.get(f"http://127.0.0.1:{self.port}{path}", headers=headers)
        except httpx.TransportError:
            return None

    def platform_is_ready(self) -> bool:
        response = self.get("/v1/workflows")
        return response is not None and response.is_success

    def install(self, block: Block) -> None:
        if FRESH:
            text = block.text.replace('"mistral-offload[', f'"{self._wheel()}[')
            self.run(text, activated=False, seconds=_INSTALL_SECONDS)
        elif not (self.folder / ".venv").exists():
            (self.folder / ".venv").symlink_to(sys.prefix)

    def _wheel(self) -> Path:
        folder = self.folder / "dist"
        if not folder.exists():
            command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps"]
            subprocess.run(
                [*command, "--wheel-dir", folder, ROOT], check=True, timeout=_INSTALL_SECONDS
            )
        (wheel,) = folder.glob("*.whl")
        return wheel


@pytest.fixture
def reader(tmp_path: Path, seaweed: Seaweed) -> Iterator[Reader]:
    (port,) = free_ports(1)
    reader = Reader(tmp_path, port, seaweed.make_bucket())
    # Credentials, and an address, "where AWS tools find them".
    reader.environment.update(
        AWS_ACCESS_KEY_ID=seaweed.access_key,
        AWS_SECRET_ACCESS_KEY=seaweed.secret_key,
        AWS_ENDPOINT_URL_S3=seaweed.endpoint_url,
    )
    yield reader
    reader.stop()


@pytest.mark.timeout(900 if FRESH else 240)
def test_the_page(reader: Reader) -> None:
    blocks = iter(page_blocks())

    def following(*, containing: str) -> Block:
        """Save the files up to the next commands, which are returned."""
        for block in blocks:
            if block.file is None:
                assert containing in block.text
                return block
            reader.save(block)
        raise AssertionError(f"the page ends before {containing!r}")

    def worker_is_ready() -> bool:
        known = reader.get("/v1/workflows?deployment_name=getting-started")
        return known is not None and bool(known.json()["workflows"])

    reader.install(following(containing="pip install"))
    assert following(containing="activate").text == ". .venv/bin/activate\n"
    reader.start(following(containing="dev").text, reader.platform_is_ready)
    worker = reader.start(following(containing="worker.py").text, worker_is_ready)
    client = following(containing="client.py")
    printed = following(containing="words").text
    assert reader.run(client.text) == printed

    command, shown = following(containing="blobs du"), following(containing="namespace")

    def usage() -> str:
        return ages_left_out(reader.run(command.text))

    # A run's events, with a copy of its input, are stored in the background.
    with suppress(StuckError):
        wait_until(lambda: usage() == ages_left_out(shown.text))
    assert usage() == ages_left_out(shown.text)
    assert " 0 failed" in reader.run(following(containing="doctor").text)

    worker.stop(grace=15)
    reader.install(following(containing="[dev,s3]"))
    # The workflow stays known after its worker has stopped; Temporal holds the request until the
    # new one polls.
    reader.start(following(containing="worker.py").text, lambda: True)
    assert reader.run(following(containing="client.py").text) == printed
    done = reader.run(following(containing="lifecycle").text)
    assert "after 45 days" in done
    assert f"to s3 '{reader.written('my-payloads')}'" in done
    assert " 0 failed" in done
    assert next(blocks, None) is None


def ages_left_out(table: str) -> str:
    return re.sub(r" +\d+ (?:s|min)\b", " AGE", table)
