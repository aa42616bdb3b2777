"""The worker's environment against recorded cases of the official worker."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from mistral_offload.environment.discovery import TemporalAddress, find_temporal
from mistral_offload.errors import ConfigurationError
from mistral_offload.limits import DEFAULT_FIELD_MIN_SIZE_BYTES, DEFAULT_PAYLOAD_MIN_SIZE_BYTES
from mistral_offload.workflows import WorkerSettings
from tests.vectors import Case, Differences, load, parameters

REFUSED = Differences(
    {
        "payload/only_provider": "an incomplete storage block is refused at start",
        "payload/size_negative": "a size is not below zero",
        "bare/bucket_name_fills_in": "without the leak there is no bucket",
        "encryption/no_key": "a key is needed from the start",
        "encryption/bad_key": "a key that is not one is refused at start",
    }
)
DIFFERENCES = Differences(
    {
        "compression/level": "the algorithm has a default, so the level alone is enough",
        "bare/aws_variables_leak_into_storage": "variables without the group's name do not leak in",
        "bare/min_size_bytes_fills_in": "variables without the group's name do not leak in",
        "activity/only_min_size": "the size alone enables nothing",
        "payload/only_min_size": "the size alone enables nothing",
        "payload/size_not_a_number": "a size may have a unit, as 1MB",
        "payload/prefix_empty": "an empty text is unset, as everywhere",
        "named_storages/*": "named storages are not part of this package",
    }
)
GROUPS = {
    "temporal_payload_offloading": "payload_offloading",
    "activity_attributes_offloading": "field_offloading",
    "temporal_payload_encryption": "payload_encryption",
    "temporal_payload_compression": "payload_compression",
}


@pytest.fixture(autouse=True)
def empty_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    recorded = {name.upper() for case in load("worker_env") for name in case["env"]}
    for name in recorded | {field.upper() for field in WorkerSettings.model_fields}:
        monkeypatch.delenv(name, raising=False)


def plain(value: Any) -> Any:
    """Return a configuration in its recorded form: only official members, with secrets shown."""
    if isinstance(value, BaseModel):
        members = {name: plain(getattr(value, name)) for name in type(value).model_fields}
        return {name: member for name, member in members.items() if member is not None}
    shown = getattr(value, "get_secret_value", None)
    value = shown() if shown else value
    return getattr(value, "value", value)


def only_known(found: Any, expected: Any) -> Any:
    if not isinstance(expected, dict):
        return found
    return {name: only_known(found.get(name), member) for name, member in expected.items()}


@pytest.mark.parametrize("case", parameters(load("worker_env")))
async def test_settings(case: Case, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, text in case["env"].items():
        monkeypatch.setenv(name, text)
    expected = case["expected"]
    if case["name"] in REFUSED or ("error" in expected and case["name"] not in DIFFERENCES):
        with pytest.raises(ConfigurationError) as refused:
            WorkerSettings()
        group = next(iter(case["env"])).split("__")[0].upper()
        assert f"\n  {group}__" in str(refused.value)
        return
    settings = WorkerSettings()
    if case["name"] in DIFFERENCES:
        check_difference(case["name"], settings)
        return
    for group, name in GROUPS.items():
        found = plain(getattr(settings, name))
        recorded = expected[group]
        if group == "temporal_payload_offloading" and recorded is not None:
            given = (
                f"{group}__min_size_bytes".upper() in case["env"] or group.upper() in case["env"]
            )
            if not given:  # our default floor is the platform's 2 MiB
                assert recorded["min_size_bytes"] == DEFAULT_FIELD_MIN_SIZE_BYTES
                recorded = {**recorded, "min_size_bytes": DEFAULT_PAYLOAD_MIN_SIZE_BYTES}
        assert only_known(found, recorded) == recorded
    assert settings.task_queue == expected["task_queue"]
    assert settings.server_url == expected["server_url"]
    temporal = expected["temporal"]
    assert await find_temporal(settings, None) == TemporalAddress(
        target=temporal["server_url"], namespace=temporal["namespace"], tls=temporal["tls"]
    )
    assert plain(settings.temporal_api_key) == temporal["api_key"]


def check_difference(name: str, settings: WorkerSettings) -> None:
    offloading = settings.payload_offloading
    if name.endswith("only_min_size"):
        assert offloading is None
        assert settings.field_offloading is None
    elif name == "compression/level":
        assert settings.payload_compression is not None
        assert settings.payload_compression.algorithm_config.level == 7
    elif name == "payload/size_not_a_number":
        assert offloading is not None
        assert offloading.min_size_bytes == 1_000_000
    elif name == "payload/prefix_empty":
        assert offloading is not None
        assert offloading.storage_config.prefix is None
    elif name.startswith("bare/"):
        assert offloading is not None
        assert offloading.min_size_bytes == DEFAULT_PAYLOAD_MIN_SIZE_BYTES
        assert offloading.storage_config.prefix is None
        assert offloading.storage_config.aws_access_key_id is None
    else:
        assert offloading is None


def test_listed_differences_exist() -> None:
    every = load("worker_env")
    assert len(every) == 51
    assert not REFUSED.unused(every)
    assert not DIFFERENCES.unused(every)
