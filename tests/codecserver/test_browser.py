"""Temporal's own UI and CLI, connected to the codec server, with a real execution.

Set KEEP_SCREENSHOTS=1 to renew the picture in the documentation.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import threading
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mistral_offload import (
    BlobStorageConfig,
    Mistral,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
)
from mistral_offload.devserver.temporal_server import find_temporal
from mistral_offload.payload.jsontext import dump_json
from tests.bounds import PATIENCE_SECONDS, StuckError
from tests.cli.command import Dev
from tests.codecserver.process import KEY, NAMESPACE, TOKEN, CodecServer
from tests.servers.chromium import open_browser
from tests.servers.seaweed import Seaweed
from tests.servers.worker import WorkerProcess

if TYPE_CHECKING:
    from selenium.webdriver import Chrome

PICTURE = Path(__file__).parents[2] / "docs" / "images" / "temporal-ui.png"
DOCUMENT = {
    "title": "The Shining",
    "pages": ["All work and no play makes Jack a dull boy."] * 110_000,
}
EXECUTION = "the-shining"


@dataclass
class Stack:
    """``dev --ui`` with an execution whose input of 5 MB is encrypted in an S3 bucket."""

    ui_url: str
    temporal_address: str
    variables: dict[str, str]


@pytest.fixture(scope="module")
def stack(seaweed: Seaweed) -> Iterator[Stack]:
    storage = {
        "storage_provider": "s3",
        "bucket_name": seaweed.make_bucket(),
        "region_name": seaweed.region_name,
        "endpoint_url": seaweed.endpoint_url,
        "aws_access_key_id": seaweed.access_key,
        "aws_secret_access_key": seaweed.secret_key,
    }
    prefix = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__"
    encryption = {
        "TEMPORAL_PAYLOAD_ENCRYPTION__MODE": "full",
        "TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KEY": KEY,
    }
    variables = {f"{prefix}{name.upper()}": value for name, value in storage.items()} | encryption
    with Dev("--ui", environment=variables) as dev:
        worker = WorkerProcess(dev, storage, environment=encryption)
        try:
            with Mistral(
                dev.api_key,
                server_url=dev.server_url,
                workflow_payload_offloading=PayloadOffloadingConfig(
                    storage_config=BlobStorageConfig(**storage)
                ),
                workflow_payload_encryption=PayloadEncryptionConfig(mode="full", main_key=KEY),
            ) as client:
                client.workflows.execute_workflow(
                    "prepare-document",
                    input=DOCUMENT,
                    execution_id=EXECUTION,
                    deployment_name=worker.deployment,
                )
                client.workflows.wait_for_workflow_completion(EXECUTION, timeout_seconds=50)
        finally:
            worker.stop()
        yield Stack(dev.ui_url, dev.temporal_address, variables)


@pytest.fixture(scope="module")
def browser() -> Iterator[Chrome]:
    with open_browser() as opened:
        yield opened


@pytest.mark.timeout(180)  # starts a browser
def test_the_page_shows_a_preview_and_links_to_all_of_it(stack: Stack, browser: Chrome) -> None:
    browser.get(f"{stack.ui_url}/namespaces/{NAMESPACE}/workflows/{EXECUTION}")
    text = wait_for_text(browser, '"shown"')
    size = len(dump_json(DOCUMENT))
    assert f'"the first 4,096 of {size:,} bytes"' in text
    assert "All work and no play makes Jack a dull boy." in text
    if os.environ.get("KEEP_SCREENSHOTS"):
        PICTURE.parent.mkdir(exist_ok=True)
        browser.save_screenshot(str(PICTURE))
    # The preview comes first, and the page renders only what is in view.
    scroll = "for (const part of document.querySelectorAll('*')) part.scrollTop = 1e6"
    browser.execute_script(scroll)
    text = wait_for_text(browser, '"download": "')
    link = text.partition('"download": "')[2].partition('"')[0]
    with urllib.request.urlopen(link, timeout=30) as response:
        assert (
            hashlib.sha256(response.read()).digest() == hashlib.sha256(dump_json(DOCUMENT)).digest()
        )


def test_a_page_of_another_origin_gets_nothing(
    stack: Stack, browser: Chrome, tmp_path: Path
) -> None:
    codec = codec_of(stack, browser)
    (tmp_path / "index.html").write_text("<p>Any page.</p>")
    script = """
        const done = arguments[arguments.length - 1];
        fetch(arguments[0] + "/decode", {
            method: "POST",
            headers: {"content-type": arguments[1], "x-namespace": arguments[2]},
            body: JSON.stringify({payloads: []}),
        })
            .then(response => response.text())
            .then(text => done("got: " + text), error => done("" + error));
    """
    with serving(tmp_path) as page:
        browser.get(page)
        for content_type in ("application/json", "text/plain"):
            fetched = browser.execute_async_script(script, codec, content_type, NAMESPACE)
            assert fetched == "TypeError: Failed to fetch"
    browser.get(stack.ui_url)  # the same from the page that may
    fetched = browser.execute_async_script(script, codec, "application/json", NAMESPACE)
    assert fetched == "got: {}"


@pytest.mark.timeout(180)  # waits for retries of a command
def test_temporals_command_shows_it_too(stack: Stack) -> None:
    with CodecServer(stack.variables) as server:
        command = [find_temporal(), "workflow", "show", "--detailed", "-w", EXECUTION]
        command += ["--address", stack.temporal_address, "--namespace", NAMESPACE]
        codec = ["--codec-endpoint", server.url, "--codec-auth"]
        shown = run([*command, *codec, f"Bearer {TOKEN}"])
        assert f"input[0].shown: the first 4,096 of {len(dump_json(DOCUMENT)):,} bytes" in shown
        assert 'input[0].preview: {"title":"The Shining"' in shown
        assert "All work" not in run([*command, *codec, "Bearer wrong"], fails=True)
        assert "All work" not in run(command)


def wait_for_text(browser: Chrome, expected: str) -> str:
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        text = str(browser.find_element("tag name", "body").text)
        if expected in text:
            return text
        time.sleep(0.2)
    raise StuckError(f"{expected!r} is not on the page:\n{text}")


def codec_of(stack: Stack, browser: Chrome) -> str:
    """Return the URL of the codec server that the page uses."""
    with urllib.request.urlopen(f"{stack.ui_url}/api/v1/settings", timeout=10) as response:
        return str(json.load(response)["Codec"]["Endpoint"])


@contextmanager
def serving(folder: Path) -> Iterator[str]:
    """Serve a folder at another origin."""

    class Quiet(SimpleHTTPRequestHandler):
        def log_message(self, *args: Any) -> None:
            """Suppress the log."""

    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=folder)) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}/index.html"
        server.shutdown()


def run(command: list[Any], *, fails: bool = False) -> str:
    ended = subprocess.run(command, capture_output=True, text=True, timeout=30)
    assert fails or ended.returncode == 0, ended.stderr
    return ended.stdout
