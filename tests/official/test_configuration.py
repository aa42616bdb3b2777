"""Official configuration objects as this package's; needs none of the official packages."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest
from pydantic import SecretStr

from mistral_offload.errors import ConfigurationError
from mistral_offload.official.configuration import (
    encryption_of,
    fields_of,
    find_unknown_variables,
    offloading_of,
    storage_of,
)
from mistral_offload.storage.prefix import KeyPrefix

ROOTS = ("temporal-payload", "temporal-activity-payload")


def storage(**values: object) -> Any:
    return SimpleNamespace(bucket_name="b", **values)


@pytest.mark.parametrize("root", ROOTS)
@pytest.mark.parametrize("prefix", [None, "", "data", "a/b", "t", "temporal", "temporal-payloads"])
def test_keys_are_where_the_official_sdk_looks(prefix: str | None, root: str) -> None:
    key = f"{root}/acme/run/sha256:0"
    ours = KeyPrefix(storage_of(storage(prefix=prefix), root).prefix)
    assert ours.join(key) == KeyPrefix(prefix).join_as_official(key)


@pytest.mark.parametrize("prefix", ["data/", "/data", "a//b", "temporal-payload/acme"])
def test_other_prefixes_are_refused(prefix: str) -> None:
    with pytest.raises(ConfigurationError, match="prefix"):
        storage_of(storage(prefix=prefix), "temporal-payload")


def test_own_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MISTRAL_OFFLOAD_CONNECTIONS", "3")
    monkeypatch.setenv("MISTRAL_OFFLOAD_CONDITIONAL_WRITES", "false")
    monkeypatch.setenv("MISTRAL_OFFLOAD_READ_ALSO", '[{"bucket_name": "old"}]')
    monkeypatch.setenv("MISTRAL_OFFLOAD_BUCKET_NAME", "other")  # the official SDK's own
    monkeypatch.setenv("MISTRAL_OFFLOAD_ALLOW_OTHER_NAMESPACES", "yes")
    given = SimpleNamespace(storage_config=storage(aws_access_key_id=SecretStr("")))
    given.min_size_bytes = 5
    offloading, fields = offloading_of(given), fields_of(given)
    assert offloading is not None
    assert fields is not None
    for config in (offloading.storage_config, fields.storage_config):
        assert (config.bucket_name, config.connections) == ("b", 3)
        assert config.conditional_writes is False
        assert [other.bucket_name for other in config.read_also] == ["old"]
    assert offloading.min_size_bytes == fields.min_size_bytes == 5
    assert offloading.allow_other_namespaces
    assert find_unknown_variables() == ["MISTRAL_OFFLOAD_BUCKET_NAME"]


def test_azure_with_both_addresses() -> None:
    """The official SDK takes the connection string then."""
    given = SimpleNamespace(
        storage_provider="azure",
        container_name="c",
        azure_connection_string=SecretStr("AccountName=a;AccountKey=a2V5"),
        azure_storage_account_url="https://a.blob.core.windows.net",
    )
    assert storage_of(given, "temporal-payload").azure_storage_account_url is None


def test_blobs_are_in_the_clear_unless_switched(monkeypatch: pytest.MonkeyPatch) -> None:
    given = SimpleNamespace(mode="full", main_key=SecretStr("8f" * 32), secondary_key=SecretStr(""))
    first = encryption_of(given)
    monkeypatch.setenv("MISTRAL_OFFLOAD_ENCRYPT_BLOBS", "on")
    second = encryption_of(given)
    assert first is not None
    assert second is not None
    assert (first.blobs, second.blobs) == (False, True)
