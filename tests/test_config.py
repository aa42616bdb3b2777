"""The configuration: accepted and refused values, and hidden secrets."""

from __future__ import annotations

import pickle
import traceback
from typing import Any

import pytest

from mistral_offload.config import (
    BlobStorageConfig,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
    StorageProvider,
)
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
        (
            {"bucket_name": "b", "bucket": "b"},
            "bucket: .*mean bucket_id or bucket_name",
        ),
        ({"bucket_name": "b", "prefix": "a\\b"}, "prefix must not contain a backslash"),
        ({"bucket_name": "a\\b"}, "bucket_name must not contain a backslash"),
        ({"storage_provider": "gcs", "bucket_id": "a\\b"}, "bucket_id must not contain"),
        (
            {
                "storage_provider": "azure",
                "container_name": "a\\b",
                "azure_connection_string": "s",
            },
            "container_name must not contain a backslash",
        ),
        ({"storage_provider": "local", "path": "p", "prefix": "a\\b"}, "prefix must not contain"),
        ({"bucket_name": "b", "read_also": [{}]}, "read_also.0: .*'s3' needs bucket_name"),
        (
            {
                "bucket_name": "b",
                "read_also": [{"bucket_name": "c", "read_also": [{"bucket_name": "d"}]}],
            },
            "in read_also cannot have its own read_also",
        ),
    ],
)
def test_incomplete_storage_is_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(StorageConfigError, match=complaint) as caught:
        BlobStorageConfig(**values)
    assert isinstance(caught.value, MistralOffloadError)


def test_a_path_may_contain_a_backslash() -> None:
    assert BlobStorageConfig(storage_provider="local", path="C:\\blobs").container == "C:\\blobs"


def test_offloading_needs_storage() -> None:
    with pytest.raises(ConfigurationError, match="storage_config"):
        PayloadOffloadingConfig()  # type: ignore[call-arg]


def test_defaults() -> None:
    storage = BlobStorageConfig(bucket_name="b")
    assert storage.storage_provider is StorageProvider.S3
    offloading = PayloadOffloadingConfig(storage_config=storage)
    assert offloading.min_size_bytes == 2 * MIB
    assert offloading.history_floor_bytes == offloading.history_min_size_bytes == 256 * 1024


def test_a_threshold_below_zero_is_refused() -> None:
    storage = BlobStorageConfig(bucket_name="b")
    with pytest.raises(ConfigurationError, match=r"history_min_size_bytes.*greater than or equal"):
        PayloadOffloadingConfig(storage_config=storage, history_min_size_bytes=-1)


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


KEY = "00112233445566778899aabbccddeeff" * 2


@pytest.mark.parametrize(
    "key",
    [KEY, KEY.upper(), KEY[:32], KEY[:48], " ".join(KEY[i : i + 2] for i in range(0, 64, 2))],
)
def test_keys_are_hex_of_an_aes_size(key: str) -> None:
    config = PayloadEncryptionConfig(
        mode="full", main_key=key, secondary_key=KEY[:32], retired_keys=[KEY, key]
    )
    main = bytes.fromhex(key)
    assert config.keys == (main, bytes.fromhex(KEY[:32]), bytes.fromhex(KEY), main)


@pytest.mark.parametrize("field", ["main_key", "secondary_key", "retired_keys"])
@pytest.mark.parametrize(
    "key", ["", "5ec4e7", "5ec4e7" * 7, "5ec4e7x" * 8, KEY[:-1], "5 ec4e7" * 8]
)
def test_a_key_that_is_none_is_not_shown(field: str, key: str) -> None:
    values = {"mode": "full", "main_key": KEY, field: [key] if field == "retired_keys" else key}
    with pytest.raises(ConfigurationError, match=field) as caught:
        PayloadEncryptionConfig(**values)
    assert "5ec4e7" not in "".join(traceback.format_exception(caught.value))
    assert "mistral-offload keys new" in str(caught.value)
    assert caught.value.__context__ is None


def test_keys_are_not_shown() -> None:
    config = PayloadEncryptionConfig(mode="partial", main_key=KEY, retired_keys=[KEY])
    assert KEY not in f"{config!r} {config} {config.model_dump()} {config.model_dump_json()}"
    assert pickle.loads(pickle.dumps(config)) == config


@pytest.mark.parametrize(
    ("values", "complaint"),
    [
        ({"main_key": KEY}, "mode"),
        ({"mode": "FULL", "main_key": KEY}, "mode"),
        ({"mode": "full"}, "main_key"),
        ({"mode": "full", "secondary_key": KEY}, "main_key"),
    ],
)
def test_incomplete_encryption_is_refused(values: dict[str, Any], complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=complaint):
        PayloadEncryptionConfig(**values)


@pytest.mark.parametrize(
    ("mode", "asked", "encrypted"),
    [
        ("full", None, True),
        ("partial", None, False),
        ("full", False, False),
        ("partial", True, True),
    ],
)
def test_blobs_are_encrypted_in_full_mode_or_when_asked(
    mode: str, asked: bool | None, encrypted: bool
) -> None:
    config = PayloadEncryptionConfig(mode=mode, main_key=KEY, encrypt_blobs=asked)
    assert config.blobs is encrypted
    assert not config.encrypt_fields


def test_compression() -> None:
    config = PayloadCompressionConfig()
    assert (config.min_size_bytes, config.algorithm_config.level) == (MIB, 3)
    assert config.max_decompressed_bytes == 1024 * MIB
    assert PayloadCompressionConfig(algorithm_config={"level": 7}).algorithm_config.level == 7
    assert len({config, PayloadCompressionConfig()}) == 1
    for level in (0, 23):
        with pytest.raises(ConfigurationError, match="level"):
            PayloadCompressionConfig(algorithm_config={"algorithm": "zstd", "level": level})
    with pytest.raises(ConfigurationError, match="algorithm"):
        PayloadCompressionConfig(algorithm_config={"algorithm": "gzip"})
