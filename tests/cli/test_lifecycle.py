"""``mistral-offload lifecycle``: output, effects, and refusals."""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any, Protocol

import pytest

from mistral_offload.cli import main
from tests.servers.gcs_buckets import GCSBuckets
from tests.servers.seaweed import Seaweed

from .command import run_command

PAYLOADS = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__"
FIELDS = "ACTIVITY_ATTRIBUTES_OFFLOADING__STORAGE_CONFIG__"


class Run(Protocol):
    def __call__(
        self, *arguments: str, typed: str | None = None
    ) -> subprocess.CompletedProcess[str]: ...


@pytest.fixture
def bucket(seaweed: Seaweed, monkeypatch: pytest.MonkeyPatch) -> str:
    """A new bucket, configured in the environment for payloads and fields."""
    name = seaweed.make_bucket()
    for start, prefix in ((PAYLOADS, "data"), (FIELDS, "")):
        for field, value in {
            "BUCKET_NAME": name,
            "PREFIX": prefix,
            "REGION_NAME": seaweed.region_name,
            "ENDPOINT_URL": seaweed.endpoint_url,
            "AWS_ACCESS_KEY_ID": seaweed.access_key,
            "AWS_SECRET_ACCESS_KEY": seaweed.secret_key,
        }.items():
            monkeypatch.setenv(start + field, value)
    return name


def days_in(seaweed: Seaweed, bucket: str) -> dict[str, int]:
    """Return the bucket's actual rules: days by prefix."""
    client = seaweed.client()
    try:
        found: Any = client.get_bucket_lifecycle_configuration(Bucket=bucket)
    except client.exceptions.ClientError:
        return {}
    finally:
        client.close()
    return {rule["Filter"]["Prefix"]: rule["Expiration"]["Days"] for rule in found["Rules"]}


def put_rule(seaweed: Seaweed, bucket: str, prefix: str, days: int) -> None:
    client = seaweed.client()
    rule: Any = {"ID": "theirs", "Filter": {"Prefix": prefix}, "Status": "Enabled"}
    rule["Expiration"] = {"Days": days}
    client.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": [rule]}
    )
    client.close()


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs a command in this process, since another one takes a second or two to start.

    With ``typed``, it runs on a terminal where this has been typed.
    """

    def call(*arguments: str, typed: str | None = None) -> subprocess.CompletedProcess[str]:
        command = ["mistral-offload", "lifecycle", *arguments]
        monkeypatch.setattr(sys, "argv", command)
        with contextlib.ExitStack() as open_now, monkeypatch.context() as patched:
            if typed is not None:
                near, far = os.openpty()
                open_now.callback(os.close, near)
                patched.setattr(sys, "stdin", open_now.enter_context(os.fdopen(far)))
                os.write(near, typed.encode())
            with pytest.raises(SystemExit) as ended:
                main()
        output = capsys.readouterr()
        code = int(ended.value.code or 0)
        return subprocess.CompletedProcess(command, code, output.out, output.err)

    return call


def test_plan_apply_show(run: Run, seaweed: Seaweed, bucket: str) -> None:
    put_rule(seaweed, bucket, "", 7)
    planned = run("plan", "--days", "45", "--json")
    assert (planned.returncode, planned.stderr) == (1, "")
    document = json.loads(planned.stdout)
    (found,) = document["buckets"]
    assert (document["changes"], found["changes"], found["applied"]) == (True, True, False)
    assert [(rule["prefix"], rule["change"]) for rule in found["rules"]] == [
        ("data/temporal-payload/", "add"),
        ("temporal-activity-payload/", "add"),
        ("data/temporal-activity-payload/", "add"),  # files that clients send
    ]
    assert all("'theirs' for the whole bucket" in warning for warning in found["warnings"])
    assert days_in(seaweed, bucket) == {"": 7}

    applied = run("apply", "--days", "45", "--yes")
    assert (applied.returncode, applied.stderr) == (0, "")
    assert "added  data/temporal-payload/  after 45 days" in applied.stdout
    assert "warning: temporal-activity-payload/: rule 'theirs'" in applied.stdout
    expected = {"": 7, "data/temporal-payload/": 45, "temporal-activity-payload/": 45}
    expected["data/temporal-activity-payload/"] = 45
    assert days_in(seaweed, bucket) == expected

    again = run("plan", "--days", "45")
    assert (again.returncode, again.stderr) == (0, "")
    assert "No changes needed." in again.stdout

    shown = run("show")
    assert (shown.returncode, shown.stderr) == (0, "")
    assert f"s3 {bucket}" in shown.stdout
    assert "theirs: the whole bucket after 7 days" in shown.stdout
    assert "(ours): data/temporal-payload/ after 45 days" in shown.stdout
    assert "temporal-activity-payload/  after 7 days, which is shorter" in shown.stdout


def test_show_without_rules(run: Run, bucket: str) -> None:
    shown = run("show", "--json", "--namespace", "a/b")
    assert shown.returncode == 0
    (found,) = json.loads(shown.stdout)["buckets"]
    assert (found["container"], found["rules"]) == (bucket, [])
    assert [(entry["prefix"], entry["days"]) for entry in found["prefixes"]] == [
        ("data/temporal-payload/a%2Fb/", None),
        ("temporal-activity-payload/a%2Fb/", None),
        ("data/temporal-activity-payload/a%2Fb/", None),
    ]


def test_fewer_days_than_the_retention(run: Run, seaweed: Seaweed, bucket: str) -> None:
    refused = run("apply", "--days", "29", "--yes", "--json")
    assert refused.returncode == 2
    assert json.loads(refused.stdout)["error"]["type"] == "ConfigurationError"
    assert "--shorter-than-retention" in refused.stderr
    assert days_in(seaweed, bucket) == {}

    forced = run("apply", "--days", "29", "--yes", "--shorter-than-retention", "--json")
    assert forced.returncode == 0
    (found,) = json.loads(forced.stdout)["buckets"]
    assert found["applied"] is True
    assert any("retention of 30" in warning for warning in found["warnings"])
    assert set(days_in(seaweed, bucket).values()) == {29}


def test_another_retention(run: Run, seaweed: Seaweed, bucket: str) -> None:
    arguments = ("apply", "--days", "10", "--retention-days", "7", "--yes", "--namespace", "acme")
    assert run(*arguments).returncode == 0
    assert days_in(seaweed, bucket) == {
        "data/temporal-payload/acme/": 10,
        "temporal-activity-payload/acme/": 10,
        "data/temporal-activity-payload/acme/": 10,
    }


def test_no_terminal_for_the_confirmation(run: Run, seaweed: Seaweed, bucket: str) -> None:
    ended = run("apply", "--days", "45")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert "--yes" in ended.stderr
    assert days_in(seaweed, bucket) == {}


def test_confirmation(run: Run, seaweed: Seaweed, bucket: str) -> None:
    ended = run("apply", "--days", "45", typed="n\n")
    assert ended.returncode == 1
    assert "add  data/temporal-payload/  after 45 days" in ended.stdout
    assert days_in(seaweed, bucket) == {}
    ended = run("apply", "--days", "45", typed="y\n")
    assert ended.returncode == 0
    assert ended.stdout.endswith("Done.\n")
    assert len(days_in(seaweed, bucket)) == 3
    ended = run("apply", "--days", "45", typed="")
    assert ended.returncode == 0
    assert "?" not in ended.stdout, "no confirmation without changes"


def test_google(run: Run, gcs_buckets: GCSBuckets, monkeypatch: pytest.MonkeyPatch) -> None:
    bucket = gcs_buckets.make_bucket()
    monkeypatch.setenv(PAYLOADS + "STORAGE_PROVIDER", "gcs")
    monkeypatch.setenv(PAYLOADS + "BUCKET_ID", bucket)
    monkeypatch.setenv(PAYLOADS + "ENDPOINT_URL", gcs_buckets.url)
    assert run("apply", "--days", "45", "--yes").returncode == 0
    shown = run("show")
    assert "a rule without a name (ours): temporal-payload/ after 45 days" in shown.stdout


def test_azure(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PAYLOADS + "STORAGE_PROVIDER", "azure")
    monkeypatch.setenv(PAYLOADS + "CONTAINER_NAME", "payloads")
    monkeypatch.setenv(
        PAYLOADS + "AZURE_CONNECTION_STRING", "AccountName=acme;AccountKey=dGhpcyBpcyBzZWNyZXQ="
    )
    command = "az storage account management-policy"
    planned = run("plan", "--days", "45", "--json")
    assert planned.returncode == 1
    document = json.loads(planned.stdout)
    (found,) = document["buckets"]
    assert (document["changes"], found["changes"]) == (None, None)
    assert found["policy"]["apply_command"].startswith(f"{command} create --account-name acme")

    applied = run("apply", "--days", "45", "--yes")
    assert applied.returncode == 1
    printed = applied.stdout[applied.stdout.index("{") : applied.stdout.rindex("}") + 1]
    assert json.loads(printed) == found["policy"]["document"]
    for text in (f"{command} show --account-name acme", f"{command} create --account-name acme"):
        assert text in applied.stdout

    shown = run("show")
    assert shown.returncode == 1
    assert f"{command} show --account-name acme" in shown.stdout
    assert "dGhpcyBpcyBzZWNyZXQ" not in planned.stdout + applied.stdout + shown.stdout


def test_a_directory(run: Run, tmp_path: Path) -> None:
    variables = tmp_path / "variables"
    variables.write_text(f"{PAYLOADS}STORAGE_PROVIDER=local\n{PAYLOADS}PATH={tmp_path}\n")
    shown = run("show", "--config", str(variables))
    assert shown.returncode == 0
    assert "nothing expires by itself" in shown.stdout
    applied = run("apply", "--days", "45", "--yes", "--config", str(variables))
    assert applied.returncode == 1
    assert "nothing expires by itself" in applied.stdout


def test_no_store(run: Run) -> None:
    ended = run("show")
    assert (ended.returncode, ended.stdout) == (2, "")
    assert PAYLOADS in ended.stderr


def test_no_bucket(run: Run, bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for start in (PAYLOADS, FIELDS):
        monkeypatch.setenv(f"{start}BUCKET_NAME", "no-such-bucket")
    ended = run("show", "--json")
    assert ended.returncode == 1
    assert json.loads(ended.stdout)["error"]["type"] == "ContainerNotFoundError"


def test_a_package_that_is_not_installed(bucket: str) -> None:
    ended = run_command("lifecycle", "show", without="boto3")
    assert ended.returncode == 2
    assert 'pip install "mistral-offload[s3]"' in ended.stderr
