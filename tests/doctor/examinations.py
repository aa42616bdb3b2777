"""Settings to examine, and their findings."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from pydantic import SecretStr

from mistral_offload.config import BlobStorageConfig
from mistral_offload.devserver import LocalPlatform
from mistral_offload.doctor import Finding, Outcome, examine
from mistral_offload.limits import DEFAULT_PAYLOAD_MIN_SIZE_BYTES
from mistral_offload.workflows import WorkerSettings


def block(config: BlobStorageConfig) -> dict[str, Any]:
    """Return a configuration in the form of a storage block's variables."""
    given = config.model_dump(exclude_unset=True)
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else value
        for name, value in given.items()
    }


def settings_for(
    platform: LocalPlatform,
    *,
    payloads: BlobStorageConfig | None = None,
    fields: BlobStorageConfig | None = None,
    floor: int = DEFAULT_PAYLOAD_MIN_SIZE_BYTES,
    **others: Any,
) -> WorkerSettings:
    """Return settings with these stores, on the local platform."""
    given: dict[str, Any] = {
        "_env_file": None,
        "server_url": platform.server_url,
        "mistral_api_key": platform.api_key,
    }
    if payloads is not None:
        given["temporal_payload_offloading"] = {
            "storage_config": block(payloads),
            "min_size_bytes": floor,
        }
    if fields is not None:
        given["activity_attributes_offloading"] = {"storage_config": block(fields)}
    return WorkerSettings(**(given | others))


async def findings_of(settings: WorkerSettings, **options: Any) -> dict[str, Finding]:
    """Return every finding, by its id; transfers are small unless ``size`` is given."""
    options = {"size": 100_000, **options}
    return {finding.id: finding async for finding in examine(settings, **options)}


def outcomes(findings: Mapping[str, Finding], start: str) -> dict[str, Outcome]:
    """Return the outcomes of checks whose id has this beginning, by the rest of their id."""
    return {
        id.removeprefix(start): finding.outcome
        for id, finding in findings.items()
        if id.startswith(start)
    }


def shown(findings: Mapping[str, Finding]) -> str:
    """Return everything that could be printed."""
    return json.dumps([repr(finding) for finding in findings.values()], ensure_ascii=False)
