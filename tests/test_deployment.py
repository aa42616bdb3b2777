"""The container and manifests of the deployment example: linted, validated, in agreement."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader

from mistral_offload import errors
from mistral_offload.cli.worker import STOP_MARGIN_SECONDS
from mistral_offload.storage import telemetry
from mistral_offload.workflows.health import CHECK_SECONDS
from mistral_offload.workflows.registry import registry
from tests.cli.command import call_command

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / "examples" / "deployment"
DOCKERFILE = (FOLDER / "Dockerfile").read_text()
PAGE = (ROOT / "docs" / "deployment.md").read_text()
RESOURCES = list(yaml.safe_load_all((FOLDER / "kubernetes.yaml").read_text()))
(DEPLOYMENT,) = [each for each in RESOURCES if each["kind"] == "Deployment"]
POD = DEPLOYMENT["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


def exec_form(instruction: str) -> list[str]:
    """Return the words of the last CMD or ENTRYPOINT, written as a list."""
    words = re.findall(rf"^{instruction} (\[.*\])$", DOCKERFILE, re.MULTILINE)[-1]
    return list(yaml.safe_load(words))


def option(arguments: list[str], name: str) -> str:
    return arguments[arguments.index(name) + 1]


def test_the_dockerfile_has_no_fault() -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    linted = subprocess.run(
        [hadolint, "--failure-threshold", "style", FOLDER / "Dockerfile"],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (linted.returncode, linted.stdout + linted.stderr) == (0, "")


def test_the_image_is_small_and_runs_as_a_user() -> None:
    stages = re.split(r"^FROM ", DOCKERFILE, flags=re.MULTILINE)[1:]
    assert len(stages) == 2
    assert stages[-1].startswith("python:3.13-slim\n")
    assert "RUN pip uninstall --yes pip\n" in stages[-1]
    assert "--without-pip" in stages[0]
    for tool in ("apt-get", "gcc", "curl"):
        assert tool not in stages[-1]
    user = re.findall(r"^USER (\d+):(\d+)$", stages[-1], re.MULTILINE)[-1]
    security = POD["securityContext"]
    assert security["runAsNonRoot"] is True
    assert (security["runAsUser"], security["runAsGroup"]) == tuple(map(int, user))
    required = (FOLDER / "requirements.txt").read_text()
    extras = re.fullmatch(r"mistral-offload\[(.*)\]\n", required)
    assert extras is not None
    known = {
        match[1]
        for each in requires("mistral-offload") or ()
        if (match := re.search(r"extra == ['\"](.*)['\"]", each))
    }
    assert set(extras[1].split(",")) <= known


@pytest.mark.parametrize("resource", RESOURCES, ids=lambda each: each["kind"])
def test_manifests_match_the_schema_of_kubernetes(resource: Any) -> None:
    kubernetes_validate.validate(resource, "1.37", strict=True)


def test_a_wrong_member_is_found() -> None:
    wrong = {**DEPLOYMENT, "spec": {**DEPLOYMENT["spec"], "replica": 2}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(wrong, "1.37", strict=True)


def test_names_agree() -> None:
    labels = DEPLOYMENT["spec"]["template"]["metadata"]["labels"]
    (budget,) = [each for each in RESOURCES if each["kind"] == "PodDisruptionBudget"]
    assert DEPLOYMENT["spec"]["selector"]["matchLabels"] == labels
    assert budget["spec"]["selector"]["matchLabels"] == labels
    names = {each["kind"]: each["metadata"]["name"] for each in RESOURCES}
    assert CONTAINER["envFrom"] == [{"configMapRef": {"name": names["ConfigMap"]}}]
    assert POD["serviceAccountName"] == names["ServiceAccount"]
    secret = CONTAINER["env"][0]["valueFrom"]["secretKeyRef"]
    command = f"kubectl create secret generic {secret['name']} --from-literal={secret['key']}="
    assert command in (FOLDER / "README.md").read_text()


def test_times_and_ports_agree() -> None:
    arguments = exec_form("CMD")
    assert CONTAINER["args"] == arguments
    stop = float(option(arguments, "--stop-seconds"))
    grace = POD["terminationGracePeriodSeconds"]
    assert stop + STOP_MARGIN_SECONDS < grace
    for text in (f"| `--stop-seconds` | {stop:g} |", f"kills | {grace}: {grace - stop:g} s more"):
        assert text in PAGE
    assert f"--stop-timeout {grace} " in (FOLDER / "README.md").read_text()
    (port,) = CONTAINER["ports"]
    assert str(port["containerPort"]) == option(arguments, "--health-port")
    assert f"EXPOSE {port['containerPort']}\n" in DOCKERFILE
    assert f"http://127.0.0.1:{port['containerPort']}/live" in DOCKERFILE
    for name, path in (("startup", "/live"), ("liveness", "/live"), ("readiness", "/ready")):
        probe = CONTAINER[f"{name}Probe"]
        assert probe["httpGet"] == {"path": path, "port": port["name"]}
        assert probe["timeoutSeconds"] > CHECK_SECONDS


def test_the_command_of_the_image_starts_a_worker(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As far as it gets without a key: options are read, and the module is imported."""
    shutil.copy(ROOT / "examples" / "worker" / "documents.py", tmp_path)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    # Other tests of this process may have decorated activities with the same names.
    monkeypatch.setattr(registry, "_activities", {})
    for name in ("MISTRAL_API_KEY", "MISTRAL_SA_TOKEN_PATH"):
        monkeypatch.delenv(name, raising=False)
    variables = next(each["data"] for each in RESOURCES if each["kind"] == "ConfigMap")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    program, *command = exec_form("ENTRYPOINT")
    assert program == "mistral-offload"
    ended = call_command(*command, *exec_form("CMD"))
    sys.modules.pop("documents", None)
    assert ended.returncode == 2
    assert "there is no API key for the platform at https://api.mistral.ai" in ended.stderr


def test_alerts_name_what_is_recorded() -> None:
    reader = InMemoryMetricReader()
    provider = MeterProvider(metric_readers=[reader])
    instruments = telemetry.Instruments(provider.get_meter("tests"), tracer=None)
    for counter in (*instruments.blobs.values(), *instruments.sizes.values()):
        counter.add(1)
    instruments.retries.add(1)
    instruments.refusals.add(1)
    instruments.seconds.record(1)
    data = reader.get_metrics_data()
    assert data is not None
    recorded = {
        metric.name
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    alerts = PAGE.partition("## Alerts")[2]
    named = set(re.findall(r"`(mistral_offload\.[a-z.]+)`", alerts))
    assert named
    assert named <= recorded
    for name in re.findall(r"`([A-Z]\w+Error)`", alerts):
        assert hasattr(errors, name)
