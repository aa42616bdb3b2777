"""Files under faults: the same bytes in the end, and little sent twice."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from mistral_offload.config import BlobStorageConfig, FieldOffloadingConfig
from mistral_offload.files.chunks import CHUNK_BYTES, concurrent_chunks
from mistral_offload.files.configuration import configured_files
from mistral_offload.files.file_store import FileStore
from mistral_offload.files.reference import FileReference
from mistral_offload.files.source import source_of_bytes
from mistral_offload.payload.field_blob import NO_CIPHER
from mistral_offload.storage.lazy_cache import LazyCache
from tests.bounds import child, kill, output_of, wait_until
from tests.faults.proxy import FaultProxy, Kind
from tests.faults.routes import Route
from tests.servers.seaweed import Seaweed
from tests.workers.file_sender import ROOT

pytestmark = pytest.mark.server

CHUNKS = 10
CONTENT = random.Random(1).randbytes(CHUNK_BYTES)


@pytest.fixture
def seaweed_faults(seaweed: Seaweed) -> Iterator[FaultProxy]:
    proxy = FaultProxy(seaweed.port)
    yield proxy
    proxy.stop()


def test_broken_transfers_end_with_the_same_bytes(route: Route, tmp_path: Path) -> None:
    data = CONTENT + CONTENT[::-1] + b"the end"
    files = FileStore(LazyCache(None, route.store), NO_CIPHER)
    source = source_of_bytes(data, "talk.wav", None)
    route.proxy.order(Kind.RESET_UPLOAD, route.upload, path="chunk-")
    reference = files.upload(source, ROOT).reference
    for kind in (Kind.RESET_DOWNLOAD, Kind.CUT_DOWNLOAD, Kind.CORRUPT_DOWNLOAD):
        route.proxy.order(kind, "GET", path="chunk-")
        assert files.download(reference, tmp_path / "talk.wav").read_bytes() == data
    stored = files.open(reference)
    assert stored.read_chunk(1) == CONTENT[::-1]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_killed_upload_continues(
    seaweed: Seaweed, seaweed_faults: FaultProxy, tmp_path: Path, share: float
) -> None:
    path = tmp_path / "talk.wav"
    with path.open("wb") as file:
        for number in range(CHUNKS):
            file.write(bytes([number]) + CONTENT[1:])
    storage = {
        "bucket_name": seaweed.make_bucket(),
        "endpoint_url": seaweed_faults.url,
        "region_name": "us-east-1",
        "aws_access_key_id": seaweed.access_key,
        "aws_secret_access_key": seaweed.secret_key,
    }
    command = [sys.executable, "-m", "tests.workers.file_sender", json.dumps(storage), str(path)]
    seaweed_faults.upload_bytes_per_second = 40e6

    def puts() -> int:
        return sum(
            each.method == "PUT" and "/chunk-" in each.path for each in seaweed_faults.requests
        )

    with child(command, stdout=subprocess.PIPE, text=True) as first:
        wait_until(lambda: puts() >= share * CHUNKS)
        kill(first)
    before = puts()
    seaweed_faults.upload_bytes_per_second = None
    with child(command, stdout=subprocess.PIPE, text=True, env=os.environ) as second:
        key, _ = output_of(second)
    again = puts() - before - (CHUNKS - before)
    assert 0 <= again <= concurrent_chunks(CHUNK_BYTES, 16)
    files = configured_files(
        FieldOffloadingConfig(storage_config=BlobStorageConfig.model_validate(storage)),
        None,
        NO_CIPHER,
    )
    assert files is not None
    target = files.download(FileReference.from_key(key.strip()), tmp_path / "back.wav")
    assert target.read_bytes() == path.read_bytes()
