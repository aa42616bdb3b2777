"""``mistral-offload worker``: its modules and their errors, its probes, and its end."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mistral_offload import Mistral
from mistral_offload.cli.worker_modules import load_env_file, load_workflows
from mistral_offload.devserver import LocalPlatform
from mistral_offload.errors import ConfigurationError
from mistral_offload.workflows import WorkerSettings
from tests.bounds import PATIENCE_SECONDS, child, output_of, read_line, within

from .command import call_command, command_line

FLOWS = """
import mistral_offload.workflows as workflows

@workflows.activity(name="double-for-{name}")
async def double(number: int) -> int:
    return 2 * number

@workflows.workflow.define(name="double-of-{name}")
class Double:
    @workflows.workflow.entrypoint
    async def run(self, number: int) -> int:
        return await double(number)
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current directory, with modules whose names no other test imports."""
    (tmp_path / "wk_flows.py").write_text(FLOWS.format(name="flows"))
    package = tmp_path / "wk_package"
    package.mkdir()
    (package / "inner.py").write_text(FLOWS.format(name="package"))
    (package / "__init__.py").write_text(
        "from .inner import Double\nfrom wk_flows import Double as D"
    )
    (tmp_path / "wk_bad.py").write_text("import json\njson.loads('{')\n")
    (tmp_path / "wk_missing.py").write_text("\nimport no_such_package\n")
    (tmp_path / "wk_wrong.py").write_text(
        # Not as a decorator, whose line in a traceback depends on the version of Python.
        "import mistral_offload.workflows as w\nw.workflow.define(name='x')(type('A', (), {}))\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [each for each in sys.path if each])
    yield tmp_path
    for name in [name for name in sys.modules if name.startswith("wk_")]:
        del sys.modules[name]


def names(classes: list[type]) -> list[str]:
    return [f"{cls.__module__}.{cls.__name__}" for cls in classes]


def test_workflows_of_modules(folder: Path) -> None:
    assert names(load_workflows(["wk_flows"])) == ["wk_flows.Double"]
    assert names(load_workflows(["wk_package", "wk_flows:Double", "wk_flows"])) == [
        "wk_package.inner.Double",
        "wk_flows.Double",
    ], "of a package those of its own modules, and each once"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("wk_flos", "wk_flos is neither installed nor in the current directory"),
        ("wk_flos", "did you mean wk_flows?"),
        ("wk_package.iner", "package wk_package has no iner; did you mean inner?"),
        ("wk_flows.py", "is a file: name its module, such as wk_flows"),
        ("wk_flows:", "is not MODULE or MODULE:CLASS"),
        ("wk_flows:Doubl", "has no class Doubl; did you mean Double?"),
        ("wk_flows:double", "is not a class"),
        ("json:JSONDecoder", "JSONDecoder is not a workflow: decorate it"),
        ("json", "defines no workflow"),
        ("wk_missing", "wk_missing.py, line 2): No module named 'no_such_package'"),
        ("wk_wrong", "wk_wrong.py, line 2): workflow A: needs exactly one method"),
    ],
)
def test_a_name_or_import_that_cannot_work_is_one_message(
    folder: Path, name: str, said: str
) -> None:
    ended = call_command("worker", name)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert said in ended.stderr
    assert len(ended.stderr.splitlines()) == 1


def test_an_error_in_a_module_shows_its_own_frames_only(folder: Path) -> None:
    ended = call_command("worker", "wk_bad")
    assert ended.returncode == 1
    assert ended.stderr.startswith("Traceback")
    frames = re.findall(r'File "([^"]+)"', ended.stderr)
    assert frames[0] == str(folder / "wk_bad.py")
    assert not [frame for frame in frames if "mistral_offload" in frame or "importlib" in frame]
    assert "JSONDecodeError" in ended.stderr


def test_a_missing_key_is_said_before_the_platform_is_looked_for(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("SERVER_URL", "MISTRAL_API_KEY", "MISTRAL_SA_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    ended = call_command("worker", "wk_flows")
    assert ended.returncode == 2
    assert "there is no API key for the platform at https://api.mistral.ai: set" in ended.stderr


def test_another_platform_may_need_no_key_so_a_warning_says_it_at_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("MISTRAL_API_KEY", "MISTRAL_SA_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    settings = WorkerSettings(_env_file=None, server_url="http://127.0.0.1:9")
    settings.require_platform_token()
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert "there is no API key for the platform at http://127.0.0.1:9" in record.getMessage()


def test_a_health_port_in_use(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_API_KEY", "key")
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        ended = call_command("worker", "wk_flows", "--health-port", port)
    assert ended.returncode == 2
    assert f"the health port {port} of 127.0.0.1 cannot be used" in ended.stderr


def test_the_environment_wins_over_a_file(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = folder / "worker.env"
    file.write_text("# comment\nWK_ONE=of the file\nexport WK_TWO='of the file'\n")
    monkeypatch.setenv("WK_ONE", "of the environment")
    monkeypatch.setenv("WK_TWO", "x")
    monkeypatch.delenv("WK_TWO")  # so that it is removed at the end
    load_env_file(file)
    assert (os.environ["WK_ONE"], os.environ["WK_TWO"]) == ("of the environment", "of the file")
    for wrong in ("A=1\nWK_THREE\n", "A=1\n'WK\n"):
        file.write_text(wrong)
        with pytest.raises(ConfigurationError, match=r"worker\.env, line 2: not NAME=value"):
            load_env_file(file)
    assert "A" not in os.environ
    file.write_bytes(b"A=\xff")
    with pytest.raises(ConfigurationError, match="not text in UTF-8"):
        load_env_file(file)


def test_sigterm_during_an_import(folder: Path) -> None:
    (folder / "wk_slow.py").write_text(
        "import time\nprint('importing', flush=True)\ntime.sleep(50)"
    )
    with child(
        command_line("worker", "wk_slow"), stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert read_line(process) == "importing\n"
        process.send_signal(signal.SIGTERM)
        assert output_of(process) == ("", "")
        assert process.returncode == 0


@pytest.mark.server
def test_a_worker_from_start_to_sigterm(folder: Path, local_platform: LocalPlatform) -> None:
    blobs = folder / "blobs"
    variables = {
        **local_platform.environment(),
        "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__STORAGE_PROVIDER": "local",
        "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__PATH": str(blobs),
        "DEPLOYMENT_NAME": "of-the-file",
    }
    lines = [f"{name}={value}\n" for name, value in variables.items()]
    (folder / "worker.env").write_text("".join(lines))
    arguments = ["wk_flows", "wk_package:Double", "--env-file", "worker.env", "--health-port", "0"]
    with child(
        command_line("worker", *arguments, "--task-queue", "of-the-option"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        url = health_url(process)
        assert httpx.get(f"{url}/live").json() == {"live": True}
        ready = state(url, lambda status, _: status == 200)
        store = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG"
        assert ready == {"ready": True, "parts": {"worker": "ok", "temporal": "ok", store: "ok"}}

        with Mistral(local_platform.api_key, server_url=local_platform.server_url) as client:
            for number, name in enumerate(("double-of-flows", "double-of-package")):
                result = client.workflows.execute_workflow_and_wait(
                    name, input={"number": number}, deployment_name="of-the-option"
                )
                assert result == {"result": 2 * number}

        asyncio.run(within(misbehave(url)))

        if blobs.exists():
            blobs.rename(folder / "elsewhere")
        blobs.touch()
        lost = state(url, lambda status, _: status == 503)
        assert lost["parts"] == {"worker": "ok", "temporal": "ok", store: "StorageConfigError"}
        blobs.unlink()
        state(url, lambda status, _: status == 200)

        process.send_signal(signal.SIGTERM)
        _, log = output_of(process)
    assert process.returncode == 0
    assert "SIGTERM received" in log
    assert "task queue of-the-option; workflows: double-of-flows, double-of-package" in log
    assert f"Not ready: {store}: the directory" in log
    assert "Ready again" in log
    assert "Traceback" not in log


def health_url(process: subprocess.Popen[str]) -> str:
    assert process.stderr is not None
    line = process.stderr.readline()
    found = re.search(r"Health: (http://127\.0\.0\.1:\d+)/ready", line)
    assert found is not None, line
    return found[1]


def state(url: str, wanted: Callable[[int, Any], bool]) -> Any:
    """Poll until the probe responds as wanted; return its document."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        response = httpx.get(f"{url}/ready", timeout=PATIENCE_SECONDS)
        document = response.json()
        if wanted(response.status_code, document):
            return document
        assert time.monotonic() < deadline, document
        time.sleep(0.1)


async def misbehave(url: str) -> None:
    """Send what no probe sends; the port serves the next probe all the same."""
    parts = httpx.URL(url)
    assert parts.port is not None

    async def send(request: bytes) -> bytes:
        reader, writer = await asyncio.open_connection(parts.host, parts.port)
        writer.write(request)
        response = await reader.read()
        writer.close()
        return response

    end = b"\r\n\r\n"
    assert (await send(b"garbage" + end)).startswith(b"HTTP/1.1 400 ")
    assert (await send(b"GET /other HTTP/1.1" + end)).startswith(b"HTTP/1.1 404 ")
    refused = await send(b"POST /ready HTTP/1.1" + end)
    assert refused.startswith(b"HTTP/1.1 405 ")
    assert b"\r\nAllow: GET, HEAD\r\n" in refused
    head = await send(b"HEAD /ready?x=1 HTTP/1.0" + end)
    assert head.startswith(b"HTTP/1.1 200 ")
    assert head.endswith(end)
    # Silent connections take every place, and the next one is hung up on.
    silent = [await asyncio.open_connection(parts.host, parts.port) for _ in range(40)]
    ended = [reader for reader, _ in silent[32:]]
    assert await within(asyncio.gather(*(reader.read() for reader in ended))) == [b""] * len(ended)
    for _, writer in silent:
        writer.close()
    while True:  # until the server has noticed
        with contextlib.suppress(OSError):
            if response := await send(b"GET /live HTTP/1.1" + end):
                break
    assert json.loads(response.partition(end)[2]) == {"live": True}
