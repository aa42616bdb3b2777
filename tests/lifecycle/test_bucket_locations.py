"""Buckets and directories that hold our blobs, and their prefixes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mistral_offload.config import (
    BlobStorageConfig,
    FieldOffloadingConfig,
    PayloadOffloadingConfig,
    StorageProvider,
)
from mistral_offload.errors import LifecycleUnsupportedError
from mistral_offload.lifecycle.bucket_locations import BucketLocation, find_bucket_locations
from mistral_offload.lifecycle.factory import open_lifecycle


def s3(bucket: str = "one", **settings: Any) -> BlobStorageConfig:
    return BlobStorageConfig(bucket_name=bucket, **settings)


def payloads(storage: BlobStorageConfig) -> PayloadOffloadingConfig:
    return PayloadOffloadingConfig(storage_config=storage)


def fields(storage: BlobStorageConfig) -> FieldOffloadingConfig:
    return FieldOffloadingConfig(storage_config=storage)


BOTH = ("temporal-payload/", "temporal-activity-payload/")
"""Prefixes in a store of payloads, where the files of clients are as well."""


def test_nothing_is_offloaded() -> None:
    assert find_bucket_locations(None, None) == []


def test_one_bucket_for_both() -> None:
    first, second = s3(prefix="/data/"), s3(prefix="more/fields", region_name="eu-west-3")
    assert find_bucket_locations(payloads(first), fields(second)) == [
        BucketLocation(
            first,
            (
                "data/temporal-payload/",
                "more/fields/temporal-activity-payload/",
                "data/temporal-activity-payload/",  # files that clients send
            ),
        )
    ]


def test_two_buckets() -> None:
    one, other = s3(), s3("two")
    assert find_bucket_locations(payloads(one), fields(other)) == [
        BucketLocation(one, BOTH),
        BucketLocation(other, ("temporal-activity-payload/",)),
    ]
    elsewhere = s3(endpoint_url="http://127.0.0.1:9")
    assert len(find_bucket_locations(payloads(one), fields(elsewhere))) == 2


def test_namespaces_as_they_are_in_keys() -> None:
    (place,) = find_bucket_locations(
        payloads(s3()), None, namespaces=["acme.prod", "a/b c", "acme.prod"]
    )
    assert place.prefixes == (
        "temporal-payload/acme.prod/",
        "temporal-payload/a%2Fb%20c/",
        "temporal-activity-payload/acme.prod/",
        "temporal-activity-payload/a%2Fb%20c/",
    )


def test_buckets_that_are_only_read_from() -> None:
    old = s3("old")
    store = s3(read_also=(old,))
    assert find_bucket_locations(payloads(store), None) == [BucketLocation(store, BOTH)]
    assert find_bucket_locations(payloads(store), None, read_also=True) == [
        BucketLocation(store, BOTH),
        BucketLocation(old, BOTH),
    ]


def test_containers_of_two_accounts() -> None:
    one, other = (
        BlobStorageConfig(
            storage_provider=StorageProvider.AZURE,
            container_name="payloads",
            azure_storage_account_url=f"https://{account}.blob.core.windows.net",
        )
        for account in ("acme", "emca")
    )
    assert len(find_bucket_locations(payloads(one), fields(other))) == 2


def test_a_directory_expires_nothing(tmp_path: Path) -> None:
    config = BlobStorageConfig(storage_provider=StorageProvider.LOCAL, path=tmp_path)
    lifecycle = open_lifecycle(config)
    assert lifecycle.read() == []
    with pytest.raises(LifecycleUnsupportedError, match="nothing expires by itself"):
        lifecycle.plan(["temporal-payload/"], 45)
