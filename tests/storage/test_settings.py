"""Settings that no store could use: refused at once, with the line to write instead."""

from __future__ import annotations

from typing import Any

import pytest

from mistral_offload import Mistral, PayloadCompressionConfig, PayloadEncryptionConfig
from mistral_offload.config import (
    BlobStorageConfig,
    FieldOffloadingConfig,
    PayloadOffloadingConfig,
    ZstdConfig,
)
from mistral_offload.errors import ConfigurationError, StorageConfigError
from mistral_offload.fields.offloader import FieldOffloader
from mistral_offload.limits import MIB
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage import MemoryStore, open_store

AZURE: dict[str, Any] = {"storage_provider": "azure", "container_name": "payloads"}
ACCOUNT = {"azure_storage_account_url": "https://acme.blob.core.windows.net"}
SECRET = "c2VjcmV0LWtleQ=="


def offloading(**storage: Any) -> PayloadOffloadingConfig:
    return PayloadOffloadingConfig(storage_config=BlobStorageConfig(**storage))


@pytest.mark.parametrize(
    ("values", "remedy"),
    [
        ({"bucket_name": "s3://b/x/y"}, "bucket_name='b', prefix='x/y'"),
        ({"bucket_name": "s3a://b"}, "write bucket_name='b'"),
        ({"bucket_name": "S3://b"}, "write bucket_name='b'"),
        ({"bucket_name": "gs://b/x"}, "storage_provider='gcs', bucket_id='b', prefix='x'"),
        ({"bucket_name": "https://b.s3.amazonaws.com"}, "belongs in endpoint_url"),
        ({"bucket_name": "b/x"}, "bucket_name='b', prefix='x'"),
        ({"bucket_name": "b/"}, "write bucket_name='b'"),
        ({"bucket_name": "/b"}, "write bucket_name='b'"),
        (
            {"storage_provider": "gcs", "bucket_id": "gs://b/x"},
            "storage_provider='gcs', bucket_id='b', prefix='x'",
        ),
        ({"storage_provider": "gcs", "bucket_id": "b/x"}, "bucket_id='b', prefix='x'"),
        (
            {**AZURE, **ACCOUNT, "container_name": "https://acme.blob.core.windows.net/c"},
            "belongs in azure_storage_account_url",
        ),
        (
            {**AZURE, **ACCOUNT, "container_name": "abfss://c@acme.dfs.core.windows.net/x"},
            "storage_provider='azure', container_name='c', prefix='x'",
        ),
        ({"storage_provider": "local", "path": "s3://b/x"}, "bucket_name='b', prefix='x'"),
        ({"storage_provider": "local", "path": "file:///data"}, "path='/data'"),
        ({"bucket_name": "b", "prefix": "s3://b/x"}, "not an address"),
        ({"bucket_name": "b", "prefix": "../x"}, r"segments \. and \.\."),
        ({"bucket_name": "b", "prefix": "x/../y"}, r"segments \. and \.\."),
        ({"bucket_name": "b", "prefix": "x/."}, r"segments \. and \.\."),
        ({"storage_provider": "local", "path": "/d", "prefix": ".."}, r"segments \. and \.\."),
        ({"buket_name": "b"}, "buket_name: there is no such field; did you mean bucket_name?"),
        ({"bucket_name": "b", "read_also": [{"buket_name": "c"}]}, "did you mean bucket_name?"),
        ({"bucket_name": "b", "zzz": 1}, "zzz: there is no such field(;|$)"),
    ],
)
def test_what_no_store_could_use_is_refused_with_the_remedy(
    values: dict[str, Any], remedy: str
) -> None:
    with pytest.raises(StorageConfigError, match=remedy.replace("?", r"\?")):
        BlobStorageConfig(**values)


@pytest.mark.parametrize(
    "values",
    [
        {"bucket_name": "arn:aws:s3:eu-west-1:123456789012:accesspoint/a"},
        {"bucket_name": "b", "prefix": "x/..y/z..."},
        {"bucket_name": "b", "prefix": "/x/"},
        {"storage_provider": "local", "path": "C:/blobs"},
        {"storage_provider": "local", "path": "../blobs"},
    ],
)
def test_unusual_names_that_stores_accept(values: dict[str, Any]) -> None:
    BlobStorageConfig(**values)


def test_a_field_of_the_storage_within_offloading_is_suggested_too() -> None:
    with pytest.raises(ConfigurationError, match="did you mean bucket_name"):
        PayloadOffloadingConfig(storage_config={"buket_name": "b"})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match="did you mean min_size_bytes"):
        PayloadOffloadingConfig(  # type: ignore[call-arg]
            storage_config=BlobStorageConfig(bucket_name="b"), min_size_byte=1
        )


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ("1MB", 10**6),
        ("1mb", 10**6),
        ("1MiB", MIB),
        (" 1.5 MiB ", 3 * MIB // 2),
        ("64kB", 64_000),
        ("2GiB", 2048 * MIB),
        ("7B", 7),
        ("4096", 4096),
        (4096, 4096),
    ],
)
def test_sizes_with_a_unit(text: Any, size: int) -> None:
    storage = BlobStorageConfig(
        bucket_name="b", cache_memory_bytes=text, cache_directory_bytes=text
    )
    payloads = PayloadOffloadingConfig(
        storage_config=storage, min_size_bytes=text, history_min_size_bytes=text
    )
    fields = FieldOffloadingConfig(storage_config=storage, min_size_bytes=text)
    compression = PayloadCompressionConfig(
        min_size_bytes=text, max_decompressed_bytes=text, algorithm_config=ZstdConfig()
    )
    assert {
        storage.cache_memory_bytes,
        storage.cache_directory_bytes,
        payloads.min_size_bytes,
        payloads.history_min_size_bytes,
        fields.min_size_bytes,
        compression.min_size_bytes,
        compression.max_decompressed_bytes,
    } == {size}


@pytest.mark.parametrize(
    "text", ["1M", "MB", "1 000MB", "1XB", "0.3B", "-1MB", "1e3MB", f"{10**99}B"]
)
def test_sizes_without_a_meaning_are_refused(text: str) -> None:
    with pytest.raises(ConfigurationError, match="min_size_bytes: not a size"):
        PayloadCompressionConfig(min_size_bytes=text)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("setting", "value", "line"),
    [
        (
            "workflow_payload_offloading",
            BlobStorageConfig(bucket_name="b"),
            r"PayloadOffloadingConfig\(storage_config=BlobStorageConfig\(…\)\)",
        ),
        (
            "workflow_payload_offloading",
            {"storage_config": {"bucket_name": "b"}},
            r"workflow_payload_offloading=PayloadOffloadingConfig\(\*\*settings\)",
        ),
        ("workflow_payload_offloading", {}, r"PayloadOffloadingConfig\(\*\*settings\)"),
        ("workflow_payload_offloading", "s3://b", r"PayloadOffloadingConfig\(…\)"),
        ("workflow_payload_encryption", {"mode": "full", "main_key": SECRET}, "not a dict: write"),
        ("workflow_payload_encryption", SECRET, r"PayloadEncryptionConfig\(…\)"),
        ("workflow_payload_compression", True, r"PayloadCompressionConfig\(…\)"),
    ],
)
def test_a_payload_setting_of_another_type_names_the_line_to_write(
    setting: str, value: Any, line: str
) -> None:
    with pytest.raises(ConfigurationError, match=f"{setting} must be a .*{line}") as caught:
        Mistral("key", **{setting: value})
    assert SECRET not in str(caught.value)


def test_other_owners_of_a_configuration_check_its_type() -> None:
    storage: Any = BlobStorageConfig(bucket_name="b")
    with pytest.raises(ConfigurationError, match="offloading=PayloadOffloadingConfig"):
        PayloadEncoder(storage)
    with pytest.raises(ConfigurationError, match="config=FieldOffloadingConfig"):
        FieldOffloader(storage)
    with pytest.raises(ConfigurationError, match=r"config=BlobStorageConfig\(\*\*settings\)"):
        open_store({"bucket_name": "b"})  # type: ignore[arg-type]
    with pytest.raises(ConfigurationError, match=r"config=BlobStorageConfig\(…\)"):
        open_store(offloading(bucket_name="b"))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "text",
    [
        "blah",
        "AccountName=acme;blah",
        f"AccountKey={SECRET}",
        f"AccountName=acme;AccountKey={SECRET[:-3]}",
        "DefaultEndpointsProtocol=https;EndpointSuffix=core.windows.net",
    ],
)
def test_a_malformed_connection_string_is_refused_when_the_client_is_made(text: str) -> None:
    settings = offloading(**AZURE, azure_connection_string=text)
    with pytest.raises(StorageConfigError, match="azure_connection_string") as caught:
        Mistral("key", workflow_payload_offloading=settings)
    assert SECRET[:-3] not in str(caught.value)


@pytest.mark.parametrize(
    "text",
    [
        f"DefaultEndpointsProtocol=https;AccountName=a;AccountKey={SECRET};EndpointSuffix=x.net;",
        "BlobEndpoint=https://a.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=x%3D",
        "UseDevelopmentStorage=true",
    ],
)
def test_a_well_formed_connection_string_is_accepted(text: str) -> None:
    Mistral("key", workflow_payload_offloading=offloading(**AZURE, azure_connection_string=text))


@pytest.mark.parametrize(
    "storage",
    [
        {"bucket_name": "b", "endpoint_url": "localhost:9000"},
        {"storage_provider": "gcs", "bucket_id": "b", "endpoint_url": "localhost:9000"},
        {**AZURE, "azure_storage_account_url": "acme.blob.core.windows.net"},
        {"bucket_name": "b", "read_also": [{"bucket_name": "c", "endpoint_url": "nope"}]},
    ],
)
def test_an_address_without_a_scheme_is_refused_when_the_client_is_made(
    storage: dict[str, Any],
) -> None:
    with pytest.raises(StorageConfigError, match="address"):
        Mistral("key", workflow_payload_offloading=offloading(**storage))


def test_encryption_alone_needs_no_store() -> None:
    Mistral(
        "key", workflow_payload_encryption=PayloadEncryptionConfig(mode="full", main_key="5a" * 16)
    )


@pytest.mark.parametrize("operation", ["putt", "read", "", None])
def test_a_memory_store_refuses_operations_that_do_not_exist(operation: Any) -> None:
    store = MemoryStore()
    with pytest.raises(ValueError, match="put, get, stat, renew, delete, list"):
        store.fail(operation)
    with pytest.raises(ValueError, match="put, get, stat, renew, delete, list"):
        store.delay(operation, 1)


def test_a_memory_store_refuses_the_same_prefixes() -> None:
    with pytest.raises(StorageConfigError, match=r"'\.\./x'"):
        MemoryStore(prefix="../x")
