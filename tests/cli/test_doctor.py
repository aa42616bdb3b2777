"""``mistral-offload doctor``: its output and exit codes."""

from __future__ import annotations

import io
import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from mistral_offload.cli.doctor import _print
from mistral_offload.devserver import LocalPlatform
from mistral_offload.doctor import Finding, Outcome
from tests.bounds import PATIENCE_SECONDS, child, output_of, wait_until
from tests.servers.process import free_ports
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.servers.worker import WorkerProcess

from .command import call_command, run_command

STORAGE = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG"
KEY = "8f" * 32


def s3_variables(seaweed: Seaweed, bucket: str, **others: str) -> dict[str, str]:
    given = {
        "BUCKET_NAME": bucket,
        "REGION_NAME": seaweed.region_name,
        "ENDPOINT_URL": seaweed.endpoint_url,
        "AWS_ACCESS_KEY_ID": seaweed.access_key,
        "AWS_SECRET_ACCESS_KEY": seaweed.secret_key,
    }
    return {f"{STORAGE}__{name}": value for name, value in (given | others).items()}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "worker.env"


def write(file: Path, variables: Mapping[str, str]) -> None:
    file.write_text("".join(f"{name}={value}\n" for name, value in variables.items()))


def doctor(
    file: Path, variables: Mapping[str, str], *options: str
) -> tuple[int, list[dict[str, Any]], str]:
    """Run the command; return exit code, findings, and the whole output."""
    write(file, variables)
    ended = call_command(
        "doctor", "--json", "--config", str(file), "--size", "100000", "--timeout", "5", *options
    )
    assert ended.stderr == ""
    return ended.returncode, json.loads(ended.stdout), ended.stdout


def by_outcome(findings: list[dict[str, Any]]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for finding in findings:
        found.setdefault(finding["outcome"], []).append(finding["id"])
    return found


def test_healthy(
    seaweed: Seaweed, local_platform: LocalPlatform, local_worker: WorkerProcess, file: Path
) -> None:
    bucket = seaweed.make_bucket()
    client = seaweed.client()
    try:
        client.put_bucket_lifecycle_configuration(
            Bucket=bucket,
            LifecycleConfiguration={
                "Rules": [
                    {
                        "ID": "payloads",
                        "Status": "Enabled",
                        "Filter": {"Prefix": "temporal-payload/"},
                        "Expiration": {"Days": 40},
                    }
                ]
            },
        )
        variables = {
            **local_platform.environment(),
            **s3_variables(seaweed, bucket),
            "DEPLOYMENT_NAME": local_worker.deployment,
            "TEMPORAL_PAYLOAD_ENCRYPTION__MODE": "full",
            "TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KEY": KEY,
        }
        deadline = time.monotonic() + PATIENCE_SECONDS  # until a worker requests its first task
        while True:
            code, findings, printed = doctor(file, variables)
            if set(by_outcome(findings)) == {"ok"} or time.monotonic() > deadline:
                break
        assert by_outcome(findings) == {
            "ok": [
                "settings.payload_offloading", "settings.activity_fields", "settings.encryption",
                "settings.compression", "settings.worker", "settings.variables",
                "versions.python", "versions.packages", "versions.temporalio",
                "machine.files", "platform.token", "platform.answer",
                "temporal.connection", "temporal.tls", "temporal.namespace", "temporal.limits",
                "temporal.task_queue", "temporal.scheduled_inputs", "encryption.keys",
                "payload_store.reach", "payload_store.put", "payload_store.get",
                "payload_store.create_if_absent", "payload_store.list", "payload_store.clock",
                "payload_store.latency", "payload_store.throughput", "payload_store.round_trip",
                "payload_store.delete", "payload_store.expiry",
            ]
        }  # fmt: skip
        assert code == 0
        assert {tuple(finding) for finding in findings} == {
            ("id", "title", "outcome", "detail", "remedy", "seconds")
        }
        assert all(finding["remedy"] is None for finding in findings)
        assert "Contents" not in client.list_objects_v2(Bucket=bucket)
    finally:
        client.close()
    for secret in (KEY, seaweed.secret_key):
        assert secret not in printed


def test_a_failure_exits_with_1_and_hides_no_other(
    seaweed: Seaweed, local_platform: LocalPlatform, file: Path
) -> None:
    (port,) = free_ports(1)
    variables = {
        **local_platform.environment(),
        **s3_variables(seaweed, "no-such-bucket"),
        "TEMPORAL_SERVER_URL": f"127.0.0.1:{port}",
    }
    code, findings, _ = doctor(file, variables)
    assert code == 1
    found = by_outcome(findings)
    assert found["failed"] == ["temporal.connection", "payload_store.reach"]
    assert {"temporal.namespace", "payload_store.put"} <= set(found["not_checked"])
    assert "platform.answer" in found["ok"]
    assert all(f["remedy"] for f in findings if f["outcome"] in ("failed", "warning"))


def test_lines_for_people(seaweed: Seaweed, local_platform: LocalPlatform, file: Path) -> None:
    """Warnings alone exit with 0; without a terminal, output has no colours."""
    write(file, local_platform.environment() | s3_variables(seaweed, seaweed.make_bucket()))
    ended = run_command("doctor", "--config", str(file), "--size", "1000")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert "\x1b" not in ended.stdout
    lines = ended.stdout.splitlines()
    assert any(re.fullmatch(r"ok +payload store: latency +put \d+ ms, .*", line) for line in lines)
    n = next(n for n, line in enumerate(lines) if "payload store: expiry" in line)
    assert lines[n].startswith("warning ")
    apply = "mistral-offload lifecycle apply --days 11 --retention-days 1"
    assert lines[n + 1].strip() == f"→ {apply}"
    assert re.fullmatch(r"\d+ ok, \d+ warnings?, 0 failed, 0 not checked", lines[-1])
    assert seaweed.secret_key not in ended.stdout


def test_settings_that_cannot_be_read(seaweed: Seaweed, file: Path) -> None:
    variables = s3_variables(seaweed, "bucket") | {
        "TEMPORAL_PAYLOAD_ENCRYPTION__MODE": "full",
        "TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KEY": "8f8f8f8f8f8f8f8f8f8f",
        f"{STORAGE}__NO_SUCH": "x",
    }
    code, findings, printed = doctor(file, variables)
    assert code == 2
    assert by_outcome(findings) == {
        "failed": ["settings"],
        "ok": ["versions.python", "versions.packages", "versions.temporalio"],
    }
    assert "TEMPORAL_PAYLOAD_ENCRYPTION__MAIN_KEY" in findings[0]["detail"]
    assert f"{STORAGE}__NO_SUCH" in findings[0]["detail"]
    assert "8f8f8f8f" not in printed
    ended = call_command("doctor", "--config", str(file))
    assert (ended.returncode, ended.stderr) == (2, "")
    assert "1 failed" in ended.stdout


def test_ctrl_c_leaves_nothing_behind(
    seaweed: Seaweed, seaweed_proxy: CountingProxy, local_platform: LocalPlatform, file: Path
) -> None:
    bucket = seaweed.make_bucket()
    through = s3_variables(seaweed, bucket, ENDPOINT_URL=seaweed_proxy.url)
    write(file, local_platform.environment() | through)
    # Processes of a shell's background jobs, such as tests, ignore the signal by default.
    code = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler); "
    code += "from mistral_offload.cli import main; main()"
    seaweed_proxy.delay_seconds = 0.2
    with child(
        [sys.executable, "-c", code, "doctor", "--config", str(file)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        wait_until(lambda: seaweed_proxy.counts()["PUT"] or process.poll() is not None)
        process.send_signal(signal.SIGINT)
        _, err = output_of(process)
    assert process.returncode not in (0, None)
    assert "Traceback" not in err
    assert seaweed_proxy.counts()["DELETE"] == seaweed_proxy.counts()["PUT"]
    client = seaweed.client()
    try:
        assert "Contents" not in client.list_objects_v2(Bucket=bucket)
    finally:
        client.close()


@pytest.mark.parametrize("options", [["--timeout", "0"], ["--size", "0"], ["--config", "nowhere"]])
def test_invalid_options(options: list[str]) -> None:
    ended = call_command("doctor", *options)
    assert (ended.returncode, ended.stdout) == (2, "")


@pytest.mark.parametrize(
    ("package", "extra"), [("temporalio", "worker"), ("pydantic_settings", "worker")]
)
def test_a_package_that_is_not_installed(package: str, extra: str) -> None:
    ended = run_command("doctor", without=package)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert f'pip install "mistral-offload[{extra}]"' in ended.stderr


def test_details_are_wrapped_below_each_other_in_a_terminal() -> None:
    finding = Finding("id", "payload store: writes", Outcome.FAILED, "word " * 30, "do " * 40, 0.1)
    file = io.StringIO()
    _print(Console(file=file, force_terminal=True, color_system=None, width=80), finding)
    detail, remedy = file.getvalue().split("→ ")
    first, *wrapped = detail.rstrip().splitlines()
    assert first.startswith("failed       payload store: writes         word word")
    assert wrapped
    assert all(re.fullmatch(r" {43}(?:word ?)+ *", line) for line in wrapped)
    assert all(len(line) <= 80 for line in file.getvalue().splitlines())
    assert all(line.startswith(" " * 15 + "do") for line in remedy.rstrip().splitlines()[1:])

    piped = io.StringIO()
    _print(Console(file=piped, width=80, soft_wrap=True), finding)
    assert len(piped.getvalue().splitlines()) == 2
