"""Findings about settings, keys and installed packages."""

from __future__ import annotations

from importlib import metadata
from typing import Any

import pytest

from mistral_offload.doctor import Finding, Outcome
from mistral_offload.doctor.configuration import SettingsChecks
from mistral_offload.doctor.encryption import EncryptionChecks
from mistral_offload.doctor.runner import run_checks
from mistral_offload.doctor.versions import VersionChecks
from mistral_offload.temporal.outbound.sdk_internals import Capability
from mistral_offload.workflows import WorkerSettings
from tests.temporal import changed_temporalio

OK, WARNING, FAILED = Outcome.OK, Outcome.WARNING, Outcome.FAILED
KEY, OTHER = "8f" * 32, "9e" * 16
STORE = {"storage_config": {"bucket_name": "acme", "aws_access_key_id": "AKIAWORKER0000000001",
                            "aws_secret_access_key": "a-secret-of-the-worker"}}  # fmt: skip


def settings(**given: Any) -> WorkerSettings:
    return WorkerSettings(**({"_env_file": None} | given))


async def found(checks: SettingsChecks | EncryptionChecks | VersionChecks) -> dict[str, Finding]:
    return {finding.id: finding async for finding in run_checks(checks.checks(), timeout=30)}


@pytest.mark.parametrize(
    ("given", "id", "outcome", "words"),
    [
        ({}, "payload_offloading", WARNING, "nothing is offloaded"),
        ({"temporal_payload_offloading": STORE}, "payload_offloading", OK, "s3 'acme'"),
        ({"temporal_payload_offloading": {"min_size_bytes": 5000}}, "payload_offloading", WARNING,
         "without a storage block"),
        ({"temporal_payload_offloading": {**STORE, "min_size_bytes": 10}}, "payload_offloading",
         WARNING, "hardly smaller"),
        ({"temporal_payload_offloading": {**STORE, "min_size_bytes": 3 * 2**20}},
         "payload_offloading", WARNING, "from 2,096,128 bytes on"),
        ({"temporal_payload_offloading": STORE}, "payload_offloading", OK,
         "(from 262,144 in histories)"),
        ({"temporal_payload_offloading": {**STORE, "history_min_size_bytes": 10}},
         "payload_offloading", WARNING, "hardly smaller"),
        ({"activity_attributes_offloading": STORE}, "payload_offloading", OK, "off"),
        ({"activity_attributes_offloading": STORE}, "activity_fields", OK, "s3 'acme'"),
        ({"activity_attributes_offloading": {"min_size_bytes": 5000}}, "activity_fields", WARNING,
         "without a storage block"),
        ({"temporal_payload_encryption": {"mode": "full", "main_key": KEY}}, "encryption", OK,
         "full, blobs encrypted"),
        ({"temporal_payload_offloading": STORE, "temporal_payload_encryption":
          {"mode": "full", "main_key": KEY, "encrypt_blobs": False}}, "encryption", WARNING,
         "payloads are not encrypted"),
        ({"activity_attributes_offloading": STORE, "temporal_payload_encryption":
          {"mode": "full", "main_key": KEY}}, "encryption", WARNING,
         "activity fields are not encrypted"),
        ({"temporal_payload_compression": {}}, "compression", OK, "zstd level 3"),
        ({"deployment_name": "a", "temporal_task_queue": "b"}, "worker", WARNING, "is not used"),
        ({"deployment_name": "a", "check_storage_on_start": False}, "worker", OK,
         "'a', stores not checked on start"),
    ],
)  # fmt: skip
async def test_settings(given: dict[str, Any], id: str, outcome: Outcome, words: str) -> None:
    findings = await found(SettingsChecks(settings(**given)))
    finding = findings[f"settings.{id}"]
    assert (finding.outcome, words in finding.detail) == (outcome, True), finding
    assert (finding.remedy is None) == (outcome is OK)
    printed = repr(findings)
    assert "a-secret-of-the-worker" not in printed
    assert KEY not in printed


async def test_misspelt_variables(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TEMPORAL_PAYLOAD_OFLOADING__STORAGE_CONFIG__BUCKET_NAME", "acme")
    finding = (await found(SettingsChecks(settings())))["settings.variables"]
    assert finding.outcome is WARNING
    assert finding.remedy == "rename to TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__BUCKET_NAME"


@pytest.mark.parametrize("mode", ["full", "partial"])
async def test_keys(mode: str) -> None:
    given = {"mode": mode, "main_key": KEY, "secondary_key": OTHER}
    findings = await found(EncryptionChecks(settings(temporal_payload_encryption=given)))
    (finding,) = findings.values()
    assert finding.outcome is OK
    assert "256 bits" in finding.detail
    assert "1 older key" in finding.detail


async def test_a_key_given_twice() -> None:
    given = {"mode": "full", "main_key": KEY, "secondary_key": KEY}
    findings = await found(EncryptionChecks(settings(temporal_payload_encryption=given)))
    (finding,) = findings.values()
    assert finding.outcome is WARNING
    assert KEY not in repr(finding)


async def test_no_encryption_no_check() -> None:
    assert await found(EncryptionChecks(settings())) == {}


async def test_versions_as_installed() -> None:
    findings = await found(VersionChecks(settings(temporal_payload_offloading=STORE)))
    assert {finding.outcome for finding in findings.values()} == {OK}
    assert f"boto3 {metadata.version('boto3')}" in findings["versions.packages"].detail
    assert "azure" not in findings["versions.packages"].detail


async def test_versions_that_do_not_fit(monkeypatch: pytest.MonkeyPatch) -> None:
    installed = metadata.version

    def version(name: str) -> str:
        if name == "cryptography":
            raise metadata.PackageNotFoundError(name)
        return "1.2.0" if name == "temporalio" else installed(name)

    monkeypatch.setattr(metadata, "version", version)
    given = settings(temporal_payload_encryption={"mode": "full", "main_key": KEY})
    finding = (await found(VersionChecks(given)))["versions.packages"]
    assert finding.outcome is FAILED
    assert "temporalio 1.2.0 is not" in finding.detail
    assert "cryptography is not installed" in finding.detail
    assert 'pip install "temporalio<2,>=1.29"' in str(finding.remedy)
    assert 'pip install "mistral-offload[encryption]"' in str(finding.remedy)


async def test_an_incompatible_temporalio(monkeypatch: pytest.MonkeyPatch) -> None:
    changed_temporalio.encode_concurrently(monkeypatch)
    finding = (await found(VersionChecks(None)))["versions.temporalio"]
    assert finding.outcome is WARNING
    assert "upgrade mistral-offload" in str(finding.remedy)
    _, *effects = finding.detail.splitlines()
    assert effects == [
        f"- {each.value}" for each in (Capability.MESSAGE_SIZES, Capability.WORKER_TASKS)
    ]
