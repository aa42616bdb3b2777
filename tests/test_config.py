"""The configuration: what it accepts, what it refuses, and what it never shows."""

from __future__ import annotations

import pickle
from typing import Any

import pytest

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig, StorageProvider
from mistral_offload.errors import ConfigurationError, MistralOffloadError, StorageConfigError
from mistral_offload.limits import MIB


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({}, "'s3' needs bucket_name"),
        ({"storage_provider": "azure"}, "'azure' needs container_name"),
        ({"storage_provider": "gcs"}, "'gcs' needs bucket_id"),
        ({"storage_provider": "local"}, "'local' needs path"),
        ({"storage_provider": "azure", "container_name": "c"}, "exactly one of"),
        (
            {
                "storage_provider": "azure",
                "container_name": "c",
                "azure_connection_string": "s",
                "azure_storage_account_url": "u",
            },
            "exactly one of",
        ),
        ({"bucket_name": "b", "aws_access_key_id": "AKIA"}, "go together"),
        ({"storage_provider": "S3", "bucket_name": "b"}, "storage_provider"),
        ({"bucket_name": "b", "bucket": "b"}, "bucket: Extra inputs"),
    ],
)
def test_incomplete_storage_is_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(StorageConfigError, match=complaint) as caught:
        BlobStorageConfig(**values)
    assert isinstance(caught.value, MistralOffloadError)


def test_offloading_needs_storage() -> None:
    with pytest.raises(ConfigurationError, match="storage_config"):
        PayloadOffloadingConfig()  # type: ignore[call-arg]


def test_defaults() -> None:
    storage = BlobStorageConfig(bucket_name="b")
    assert storage.storage_provider is StorageProvider.S3
    assert PayloadOffloadingConfig(storage_config=storage).min_size_bytes == 2 * MIB


def test_equal_configurations_are_one_key() -> None:
    def make() -> BlobStorageConfig:
        return BlobStorageConfig(
            bucket_name="b", aws_access_key_id="AKIA", aws_secret_access_key="hidden"
        )

    assert make() == make()
    assert len({make(), make()}) == 1
    with pytest.raises(Exception, match="frozen"):
        make().prefix = "p"  # type: ignore[misc]
    assert pickle.loads(pickle.dumps(make())) == make()


def test_secrets_are_never_shown() -> None:
    storage = BlobStorageConfig(
        storage_provider="azure", container_name="c", azure_connection_string="AccountKey=hidden"
    )
    offloading = PayloadOffloadingConfig(storage_config=storage)
    assert "hidden" not in f"{storage} {storage!r} {offloading!r} {offloading.model_dump_json()}"
    with pytest.raises(ConfigurationError) as caught:
        BlobStorageConfig(azure_connection_string="AccountKey=hidden", aws_access_key_id=["hidden"])
    assert "hidden" not in f"{caught.value} {caught.value!r}"
    assert caught.value.__cause__ is None
