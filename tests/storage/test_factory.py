"""Opening the store of a configuration, and the cost of the import."""

from __future__ import annotations

import gc
import subprocess
import sys
from pathlib import Path

import mistral_offload.storage
from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.storage import LocalStore, open_store
from mistral_offload.storage.s3 import S3Store
from tests.bounds import Threads
from tests.storage.test_executor import in_child


def local_config(directory: Path, prefix: str | None = None) -> BlobStorageConfig:
    return BlobStorageConfig(
        storage_provider=StorageProvider.LOCAL, path=directory, prefix=prefix, connections=3
    )


def test_equal_configurations_share_a_store(tmp_path: Path) -> None:
    store = open_store(local_config(tmp_path, "data"))
    assert isinstance(store, LocalStore)
    assert open_store(local_config(tmp_path, "data")) is store
    assert open_store(local_config(tmp_path, "other")) is not store
    store.put("k", b"data")
    assert [blob.key for blob in LocalStore(tmp_path).list()] == ["data/k"]


def test_an_s3_store_is_opened_without_a_request() -> None:
    store = open_store(BlobStorageConfig(bucket_name="b", region_name="eu-west-3"))
    assert isinstance(store, S3Store)
    assert store.container == "b"


def test_threads_that_open_at_once_get_the_same_store(tmp_path: Path) -> None:
    with Threads() as threads:
        stores = threads.map(open_store, [local_config(tmp_path)] * 50)
    assert len({id(store) for store in stores}) == 1


def test_a_closed_store_is_replaced(tmp_path: Path) -> None:
    store = open_store(local_config(tmp_path))
    store.close()
    another = open_store(local_config(tmp_path))
    assert another is not store
    another.put("k", b"data")


def test_a_store_nobody_uses_is_let_go(tmp_path: Path) -> None:
    gc.disable()
    try:
        first = open_store(local_config(tmp_path))
        first.marker = "the same one"  # type: ignore[attr-defined]
        del first
        assert not hasattr(open_store(local_config(tmp_path)), "marker")
    finally:
        gc.enable()


def test_a_forked_child_opens_its_own(tmp_path: Path) -> None:
    store = open_store(local_config(tmp_path))
    store.put("k", b"from the parent")
    said = in_child(lambda: open_store(local_config(tmp_path)).get("k").decode())
    assert said == "from the parent"
    assert open_store(local_config(tmp_path)) is store


def test_importing_and_opening_imports_no_sdk() -> None:
    code = """
import sys
at_start = set(sys.modules)  # with the namespace of Google's old packages
from mistral_offload.config import BlobStorageConfig
from mistral_offload.storage import MemoryStore, open_store
import mistral_offload.storage.s3
open_store(BlobStorageConfig(bucket_name="b"))
MemoryStore().put("k", b"data")
roots = {name.split(".")[0] for name in set(sys.modules) - at_start}
print(sorted(roots & {"boto3", "botocore", "s3transfer", "azure", "google", "urllib3", "requests"}))
"""
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=50)
    assert ran.stdout.strip() == "[]", ran.stderr


def test_all_that_is_exported_is_there() -> None:
    for name in mistral_offload.storage.__all__:
        assert hasattr(mistral_offload.storage, name)
