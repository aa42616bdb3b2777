"""This package's engine in the unchanged official worker, and behind the official client."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import httpx
import pytest

from mistral_offload._version import __version__
from mistral_offload.devserver import LocalPlatform
from tests.bounds import CHILD_SECONDS
from tests.official.environments import WORKER_VERSION
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.servers.worker import WorkerProcess

# The first of these tests may install the official packages.
pytestmark = [pytest.mark.server, pytest.mark.timeout(600)]

HERE = Path(__file__).parent
ROOT = HERE.parents[1]
KEY = "8f" * 32
ON = f"moves the payloads of this worker (mistralai-workflows {WORKER_VERSION}"
OFF = "the official SDK moves the payloads of this worker"
FIELDS = "ACTIVITY_ATTRIBUTES_OFFLOADING__STORAGE_CONFIG__"


class Lab:
    """A bucket behind a counting proxy, with workers and clients that use it."""

    def __init__(
        self,
        platform: LocalPlatform,
        seaweed: Seaweed,
        proxy: CountingProxy,
        client_python: Path,
    ) -> None:
        self.platform = platform
        self.proxy = proxy
        self.client_python = client_python
        self.bucket = seaweed.make_bucket()
        self.seaweed = seaweed
        self.workers: list[WorkerProcess] = []

    def storage(self, endpoint_url: str | None = None) -> dict[str, str]:
        return {
            "bucket_name": self.bucket,
            "endpoint_url": endpoint_url or self.seaweed.endpoint_url,
            "region_name": self.seaweed.region_name,
            "aws_access_key_id": self.seaweed.access_key,
            "aws_secret_access_key": self.seaweed.secret_key,
        }

    def start(self, python: Path, deployment: str | None = None, **variables: str) -> WorkerProcess:
        storage = self.storage(self.proxy.url)
        worker = WorkerProcess(
            self.platform,
            storage,
            script=HERE / "payload_worker.py",
            python=python,
            deployment=deployment,
            timeout=CHILD_SECONDS,
            environment={
                "PYTHONPATH": str(ROOT),
                "OTEL_ENABLED": "false",  # it redacts every value, for a third of all CPU time
                **{f"{FIELDS}{name.upper()}": value for name, value in storage.items()},
                **variables,
            },
        )
        self.workers.append(worker)
        return worker

    def run(
        self,
        worker: WorkerProcess,
        runs: list[tuple[str, str, object]],
        *,
        events: bool = False,
        **encoding: object,
    ) -> list[dict[str, Any]]:
        offloading = {"storage_config": self.storage()}
        task = {
            "deployment": worker.deployment,
            "encoding": {"payload_offloading": offloading, **encoding},
            "runs": runs,
            "events": events,
        }
        ended = subprocess.run(
            [self.client_python, HERE / "payload_client.py", json.dumps(task)],
            env={**os.environ, **self.platform.environment(), "PYTHONPATH": str(ROOT)},
            capture_output=True,
            text=True,
            timeout=CHILD_SECONDS,
        )
        assert ended.returncode == 0, ended.stderr[-4000:] + worker.log()
        results: list[dict[str, Any]] = json.loads(ended.stdout)
        for result in results:
            assert result.get("status", "COMPLETED") == "COMPLETED", worker.log()
        return results

    def events_text(self, execution_id: str) -> str:
        """Return the list of an execution's events as the platform sends it."""
        response = httpx.get(
            f"{self.platform.server_url}/v1/workflows/events/list",
            params={"workflow_exec_id": execution_id},
            headers={"authorization": f"Bearer {self.platform.api_key}"},
            timeout=CHILD_SECONDS,
        )
        response.raise_for_status()
        return response.text

    def stored_keys(self) -> list[str]:
        """Return the keys in the bucket."""
        client = self.seaweed.client()
        try:
            found = client.list_objects_v2(Bucket=self.bucket).get("Contents", [])
            return [unquote(item.get("Key", "")) for item in found]
        finally:
            client.close()

    def blobs(self) -> Iterator[bytes]:
        client = self.seaweed.client()
        try:
            for item in client.list_objects_v2(Bucket=self.bucket).get("Contents", []):
                yield client.get_object(Bucket=self.bucket, Key=item.get("Key", ""))["Body"].read()
        finally:
            client.close()

    def stop(self) -> None:
        for worker in self.workers:
            worker.stop()


@pytest.fixture
def lab(
    local_platform: LocalPlatform,
    seaweed: Seaweed,
    seaweed_proxy: CountingProxy,
    client_python: Path,
) -> Iterator[Lab]:
    lab = Lab(local_platform, seaweed, seaweed_proxy, client_python)
    yield lab
    lab.stop()


def test_everything_without_encryption(lab: Lab, plugin_python: Path) -> None:
    worker = lab.start(plugin_python)
    assert worker.full_log().count(ON) == 1
    echo, chain, fan_out, talk, fields, scheduled, sync = lab.run(
        worker,
        [
            ("ours", "large-echo", {"text": "8 MB"}),
            ("ours", "large-chain", {"text": "3 MB", "number": 4}),
            ("ours", "large-fan-out", {"text": "2 MB", "number": 4}),
            ("ours", "large-talk", {"text": "2 MB"}),
            ("ours", "large-fields", {"text": "abcd", "number": 500_000}),
            # The official client offloads no input of a schedule, so it must fit in place; inside
            # the worker it is large.
            ("ours", "scheduled large-echo", {"text": "1.5 MB"}),
            ("ours-sync", "large-echo", {"text": "3 MB"}),
        ],
    )
    assert echo["result"] == echo["sent"]
    assert chain["result"]["text"] == chain["sent"]["text"]
    assert fan_out["result"] == {"text": "0123"}
    assert talk["queried"] == talk["updated"] == talk["sent"]
    assert talk["result"] == {"text": "[2000000, 2000000]"}
    text, key = fields["result"]["text"].rsplit(" ", 1)
    assert text == "report 2000000 True"
    assert key.startswith("temporal-activity-payload/")
    assert "/sha256:" in key
    assert scheduled["result"] == scheduled["sent"]
    assert any(f"/{scheduled['execution_id']}/" in key for key in lab.stored_keys())
    assert sync["result"] == sync["sent"]
    assert lab.proxy.counts()["HEAD"] == 0
    reads = [request.path for request in lab.proxy.requests if request.method == "GET"]
    assert len(reads) == len(set(reads))


@pytest.mark.parametrize("mode", ["full", "partial"])
def test_encryption_and_compression(lab: Lab, plugin_python: Path, mode: str) -> None:
    """The official client reads what the engine writes, and the other way round."""
    variables = {
        "MISTRAL_OFFLOAD_EVENTS": "reference",
        "TEMPORAL_PAYLOAD_ENCRYPTION__MODE": mode,
        "TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KEY": KEY,
        "TEMPORAL_PAYLOAD_COMPRESSION__MIN_SIZE_BYTES": "1000",
        "TEMPORAL_PAYLOAD_OFFLOADING__MIN_SIZE_BYTES": "100",
    }
    worker = lab.start(plugin_python, **variables)
    # The official client reads a stream byte by byte: with 2 MB it takes 6 s of CPU time more.
    marked = {"secret": {"field_type": "__encrypted_str__", "data": "hush"}, "text": "0.5 MB"}
    for result in lab.run(
        worker,
        [("ours", "large-marked", marked), ("official", "large-marked", marked)],
        events=True,
        payload_encryption={"mode": mode, "main_key": KEY},
        payload_compression={"min_size_bytes": 1000},
    ):
        assert result["result"] == result["sent"]
        visible = {
            "WORKFLOW_EXECUTION_STARTED": [result["sent"]],
            "ACTIVITY_TASK_STARTED keep": [result["sent"]],
            "ACTIVITY_TASK_COMPLETED keep": result["sent"],
            "WORKFLOW_EXECUTION_COMPLETED": result["sent"],
        }
        internal = "ACTIVITY_TASK_STARTED __internal__emit_workflow_completed"
        for events in (result["frames"], result["events"]):
            values = dict(map(tuple, events))
            assert values == {**values, **visible}
            assert values[internal][1] == result["sent"]
        assert len(lab.events_text(result["execution_id"])) < 20_000
    assert ON in worker.full_log()
    blobs = list(lab.blobs())
    assert blobs
    for blob in blobs:
        assert b"compression" in blob  # the official layout: the blob itself is not encrypted


def test_both_engines_on_one_task_queue(lab: Lab, plugin_python: Path, worker_python: Path) -> None:
    """Each reads the other's blobs; the plain installation of this package changes no worker."""
    ours = lab.start(plugin_python, OTEL_ENABLED="true")
    official = lab.start(worker_python, ours.deployment, OTEL_ENABLED="true")
    assert "mistral-offload" not in official.full_log()
    assert lab.proxy.counts()["HEAD"] == 0
    seen: list[dict[str, Any]] = []
    places = set[str]()
    while len(places) < 2 and len(seen) < 12:
        seen += lab.run(ours, [("official", "large-places", {"text": "1 MB", "number": 4})] * 4)
        found = [each.split(":") for run in seen for each in run["result"]["text"].split()]
        assert {size for _, size in found} == {"1000000"}
        places = {process for process, _ in found}
    assert places == {str(ours.pid), str(official.pid)}
    assert lab.proxy.counts()["HEAD"] > 0  # the official engine looks before it writes


@pytest.fixture(scope="module")
def told(seaweed: Seaweed, plugin_python: Path) -> Any:
    """Everything that ``seams.py`` found."""
    prefix = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__"
    ended = subprocess.run(
        [plugin_python, HERE / "seams.py"],
        env={
            **os.environ,
            "PYTHONPATH": str(ROOT),
            f"{prefix}BUCKET_NAME": seaweed.make_bucket(),
            f"{prefix}ENDPOINT_URL": seaweed.endpoint_url,
            f"{prefix}REGION_NAME": seaweed.region_name,
            f"{prefix}AWS_ACCESS_KEY_ID": seaweed.access_key,
            f"{prefix}AWS_SECRET_ACCESS_KEY": seaweed.secret_key,
        },
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr[-4000:]
    return json.loads(ended.stdout)


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("neither", "MISTRAL_OFFLOAD_OFFICIAL must be on or off"),
        ("wrong", "connections"),
        ("broken list", "MISTRAL_OFFLOAD_READ_ALSO must be a JSON list"),
        ("not importable", "mistral_offload.official"),
        ("package missing", 'pip install "mistral-offload[gcs]"'),
        ("other seam", "does not encode through its payload_encoder"),
        ("no method", "no method decode_payload_content"),
        ("no fields method", "no method restore_if_needed"),
    ],
)
def test_the_official_engine_continues(told: Any, case: str, reason: str) -> None:
    start = told["starts"][case]
    assert (start["interceptors"], start["encoder"], start["fields"]) == (0, False, False)
    (line,) = start["lines"]
    assert line.startswith("WARNING ")
    assert OFF in line
    assert reason in line


def test_one_line_says_what_is_on(told: Any) -> None:
    assert told["starts"]["off"]["encoder"] is False
    assert told["starts"]["off"]["lines"] == [
        f"INFO mistral-offload {__version__} is switched off by MISTRAL_OFFLOAD_OFFICIAL"
    ]
    for case in ("unknown", "as expected"):
        start = told["starts"][case]
        assert (start["interceptors"], start["encoder"], start["fields"]) == (0, True, True)
        assert ON in start["lines"][-1]
        assert start["lines"][-1].startswith(f"INFO mistral-offload {__version__} ")
    assert len(told["starts"]["as expected"]["lines"]) == 1
    assert "MISTRAL_OFFLOAD_CASH_DIRECTORY" in told["starts"]["unknown"]["lines"][0]


@pytest.mark.parametrize(
    ("case", "reason"),
    [
        ("events off", "MISTRAL_OFFLOAD_EVENTS must be full or reference"),
        ("events: no store", "MISTRAL_OFFLOAD_EVENTS=reference needs a store"),
        ("events: no function", "no function maybe_encode_event"),
        ("events: other seam", "does not post what maybe_encode_event returns"),
    ],
)
def test_official_reporting_continues(told: Any, case: str, reason: str) -> None:
    start = told["starts"][case]
    assert (start["encoder"], start["fields"], start["events"]) == (True, True, False)
    on, line = start["lines"]
    assert ON in on
    assert line.startswith("WARNING ")
    assert "events of this worker carry values, not references" in line
    assert reason in line


def test_references_are_switched_on(told: Any) -> None:
    on, line = told["starts"]["events"]["lines"]
    assert ON in on
    assert line == f"INFO mistral-offload {__version__}: events of this worker carry references"
    assert told["starts"]["events"]["events"]
    for case in ("events whole", "as expected"):
        assert not told["starts"][case]["events"]
        assert len(told["starts"][case]["lines"]) == 1


def test_errors_are_the_official_ones(told: Any) -> None:
    kinds = {name: text.split(":")[0] for name, text in told["failures"].items()}
    assert kinds == {
        "missing": "BlobNotFoundError",
        "foreign": "WorkflowPayloadOffloadingException",
        "any key": "WorkflowPayloadOffloadingException",
        "no keys": "WorkflowPayloadEncryptionException",
        "no store": "WorkflowPayloadOffloadingException",
        "not compressed": "WorkflowPayloadCompressionException",
        "field": "FieldsOffloaderException",
        "field elsewhere": "FieldsOffloaderException",
        "bytes": "True",
    }
    assert "MISTRAL_OFFLOAD_ALLOW_OTHER_NAMESPACES" in told["failures"]["foreign"]
    assert "temporal-payload/" in told["failures"]["missing"]


def test_the_plugin_requires_this_version() -> None:
    plugin = (ROOT / "official_plugin" / "pyproject.toml").read_text()
    assert f'\nversion = "{__version__}"\n' in plugin
    assert plugin.count(f']=={__version__}"') == 3


@pytest.mark.skipif("OFFICIAL_SLOW" not in os.environ, reason="a row of make matrix: 30 s")
def test_the_example(lab: Lab, plugin_python: Path) -> None:
    example = ROOT / "examples" / "official_worker" / "compare.py"
    prefix = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__"
    ended = subprocess.run(
        [plugin_python, example],
        env={
            **os.environ,
            **lab.platform.environment(),
            **{f"{prefix}{name.upper()}": value for name, value in lab.storage().items()},
            "PYTHONPATH": str(ROOT),
            "ROUNDS": "1",
        },
        capture_output=True,
        text=True,
        timeout=CHILD_SECONDS,
    )
    assert ended.returncode == 0, ended.stderr
    assert re.fullmatch(
        r"before +\d+\.\d\d s\nafter +\d+\.\d\d s\n\d+\.\d times faster\n", ended.stdout
    )
