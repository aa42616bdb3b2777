"""Findings about the platform and Temporal, up, down and misconfigured."""

from __future__ import annotations

import asyncio
import json
import re
import sysconfig
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.testing import WorkflowEnvironment

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.devserver import LocalPlatform
from mistral_offload.doctor import Outcome
from tests.servers.process import free_ports
from tests.servers.scripted import ScriptedServer
from tests.servers.worker import WorkerProcess
from tests.temporal_bounds import connect

from .examinations import findings_of, outcomes, settings_for, shown

OK, WARNING, FAILED = Outcome.OK, Outcome.WARNING, Outcome.FAILED
NOT_CHECKED = Outcome.NOT_CHECKED


async def test_healthy(local_platform: LocalPlatform, local_worker: WorkerProcess) -> None:
    settings = settings_for(local_platform, deployment_name=local_worker.deployment)
    for _ in range(50):
        findings = await findings_of(settings)
        if findings["temporal.task_queue"].outcome is OK:
            break
        await asyncio.sleep(0.1)  # it has registered, and is about to poll for its first task
    assert set(outcomes(findings, "platform.").values()) == {OK}
    assert set(outcomes(findings, "temporal.").values()) == {OK}
    assert local_platform.temporal_address in findings["platform.answer"].detail
    assert "kept for 1 day" in findings["temporal.namespace"].detail
    assert re.search(
        r"1 for workflows \(last poll \d+ s ago\), 1 for activities \(last poll \d+ s ago\)$",
        findings["temporal.task_queue"].detail,
    )


async def test_no_worker(local_platform: LocalPlatform) -> None:
    settings = settings_for(local_platform, deployment_name="nobody-works-here")
    finding = (await findings_of(settings))["temporal.task_queue"]
    assert finding.outcome is WARNING
    assert "'nobody-works-here'" in finding.detail
    assert "DEPLOYMENT_NAME" in str(finding.remedy)


async def test_an_unknown_namespace(local_platform: LocalPlatform) -> None:
    findings = await findings_of(settings_for(local_platform, temporal_namespace="nowhere"))
    ended = outcomes(findings, "temporal.")
    assert (ended["connection"], ended["namespace"]) == (OK, FAILED)
    assert ended["limits"] is ended["task_queue"] is NOT_CHECKED
    assert "'nowhere'" in findings["temporal.namespace"].detail
    assert "TEMPORAL_NAMESPACE" in str(findings["temporal.namespace"].remedy)


async def test_temporal_is_down(local_platform: LocalPlatform) -> None:
    (port,) = free_ports(1)
    settings = settings_for(local_platform, temporal_server_url=f"127.0.0.1:{port}")
    findings = await findings_of(settings, timeout=2)
    ended = outcomes(findings, "temporal.")
    assert (ended["connection"], ended["tls"], ended["namespace"]) == (FAILED, OK, NOT_CHECKED)
    assert f"127.0.0.1:{port}" in findings["temporal.connection"].detail


async def test_temporal_is_silent(local_platform: LocalPlatform) -> None:
    with ScriptedServer(None) as silent:
        target = silent.url.removeprefix("http://")
        settings = settings_for(local_platform, temporal_server_url=target)
        findings = await findings_of(settings, timeout=2)
    assert findings["temporal.connection"].outcome is FAILED
    assert target in findings["temporal.connection"].detail


async def test_the_platform_is_down(local_platform: LocalPlatform) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}"
    findings = await findings_of(settings_for(local_platform, server_url=url), timeout=2)
    assert findings["platform.answer"].outcome is FAILED
    assert findings["platform.answer"].remedy == "the variables are SERVER_URL and HTTPS_PROXY"
    assert set(outcomes(findings, "temporal.").values()) == {NOT_CHECKED}
    # Temporal is still checked if its address is known without the platform.
    settings = settings_for(
        local_platform,
        server_url=url,
        temporal_server_url=local_platform.temporal_address,
        temporal_namespace=local_platform.namespace,
    )
    findings = await findings_of(settings, timeout=6)
    assert findings["platform.answer"].outcome is FAILED
    assert findings["temporal.namespace"].outcome is OK


@pytest.fixture
def refusing() -> Iterator[ScriptedServer]:
    """A server whose error quotes the key that it rejects."""
    body = json.dumps({"detail": "the-key-that-was-given is not valid"}).encode()
    head = b"HTTP/1.1 401 Unauthorized\r\ncontent-type: application/json\r\n"
    response = head + b"content-length: %d\r\n\r\n%b" % (len(body), body)
    with ScriptedServer(response) as server:
        yield server


async def test_a_token_that_is_not_valid(
    local_platform: LocalPlatform, refusing: ScriptedServer
) -> None:
    settings = settings_for(
        local_platform, server_url=refusing.url, mistral_api_key="the-key-that-was-given"
    )
    findings = await findings_of(settings)
    finding = findings["platform.answer"]
    assert finding.outcome is FAILED
    assert "401" in finding.detail
    assert "MISTRAL_API_KEY" in str(finding.remedy)
    assert "the-key-that-was-given" not in shown(findings)


async def test_no_token(local_platform: LocalPlatform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("MISTRAL_API_KEY", raising=False)
    findings = await findings_of(settings_for(local_platform, mistral_api_key=None))
    assert findings["platform.token"].outcome is WARNING


async def test_a_token_file_that_is_gone(local_platform: LocalPlatform) -> None:
    settings = settings_for(local_platform, mistral_sa_token_path="/no/such/token")
    findings = await findings_of(settings)
    assert findings["platform.token"].outcome is FAILED
    assert "MISTRAL_SA_TOKEN_PATH" in findings["platform.token"].detail
    assert findings["platform.answer"].outcome is NOT_CHECKED


async def test_tls(local_platform: LocalPlatform) -> None:
    settings = settings_for(local_platform, temporal_tls=True)
    findings = await findings_of(settings, timeout=2)
    assert findings["temporal.tls"].outcome is WARNING
    assert findings["temporal.connection"].outcome is FAILED
    assert "TEMPORAL_TLS" in str(findings["temporal.connection"].remedy)
    settings = settings_for(local_platform, temporal_api_key="temporal-key-in-the-clear")
    findings = await findings_of(settings)
    assert findings["temporal.tls"].outcome is WARNING
    assert "temporal-key-in-the-clear" not in shown(findings)


async def test_another_retention(local_platform: LocalPlatform) -> None:
    name = f"kept-{uuid.uuid4().hex[:8]}"
    client = await connect(local_platform.temporal_address)
    await client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=name,
            workflow_execution_retention_period=Duration(seconds=14 * 24 * 3600),
        )
    )
    settings = settings_for(local_platform, temporal_namespace=name)
    finding = (await findings_of(settings))["temporal.namespace"]
    assert "kept for 14 days" in finding.detail


async def test_a_server_with_a_lower_limit(local_platform: LocalPlatform, tmp_path: Path) -> None:
    less = ["--headless", "--dynamic-config-value", "limit.blobSize.error=65536"]
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(Path(sysconfig.get_path("scripts")) / "temporal"),
        dev_server_extra_args=less,
        dev_server_log_level="error",
    ) as environment:
        there = {
            "temporal_server_url": environment.client.service_client.config.target_host,
            "temporal_namespace": "default",
        }
        finding = (await findings_of(settings_for(local_platform, **there)))["temporal.limits"]
        assert finding.outcome is FAILED
        assert finding.remedy is not None
        assert "TEMPORAL_PAYLOAD_OFFLOADING__MIN_SIZE_BYTES=64512" in finding.remedy
        store = BlobStorageConfig(storage_provider=StorageProvider.LOCAL, path=tmp_path)
        settings = settings_for(local_platform, payloads=store, floor=64512, **there)
        assert (await findings_of(settings))["temporal.limits"].outcome is OK
