"""Files under faults: the same bytes in the end, and little sent twice."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mistral_offload.config import BlobStorageConfig, FieldOffloadingConfig
from mistral_offload.files.chunks import CHUNK_BYTES, concurrent_chunks
from mistral_offload.files.configuration import configured_files
from mistral_offload.files.file_store import FileStore
from mistral_offload.files.reference import FileReference
from mistral_offload.files.source import source_of_bytes
from mistral_offload.payload.field_blob import NO_CIPHER
from mistral_offload.storage import open_store
from mistral_offload.storage.lazy_cache import LazyCache
from tests.bounds import PATIENCE_SECONDS, child, kill, output_of, wait_until
from tests.cli.command import call_command, command_line
from tests.faults.proxy import FaultProxy, Kind
from tests.faults.routes import Route
from tests.faults.stack import s3_storage
from tests.servers.proxy import CountingProxy, Passed
from tests.servers.seaweed import Seaweed
from tests.workers.file_sender import ROOT

pytestmark = pytest.mark.server

GROUP = "ACTIVITY_ATTRIBUTES_OFFLOADING__STORAGE_CONFIG__"
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


def test_a_killed_download_continues(
    seaweed: Seaweed,
    seaweed_faults: FaultProxy,
    seaweed_proxy: CountingProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    storage = storage_behind(seaweed_faults, seaweed)
    config = FieldOffloadingConfig(storage_config=BlobStorageConfig.model_validate(storage))
    files = configured_files(config, None, NO_CIPHER)
    assert files is not None
    chunks = [bytes([number]) + CONTENT[1:] for number in range(6)]
    half = len(chunks) // 2
    source = source_of_bytes(b"".join(chunks), "talk.wav", None)
    key = files.upload(source, ROOT).reference.key
    target = tmp_path / "talk.wav"
    for name, text in {"storage_provider": "s3", **storage}.items():
        monkeypatch.setenv(f"{GROUP}{name.upper()}", text)
    seaweed_faults.order(Kind.STALL, "GET", path=hashlib.sha256(chunks[half]).hexdigest())

    def part_bytes() -> int:
        return sum(part.stat().st_size for part in tmp_path.glob(".*.part"))

    with child(command_line("files", "get", key, str(target))) as first:
        wait_until(lambda: part_bytes() >= half * CHUNK_BYTES)
        kill(first)
    assert not target.exists()
    # Over another proxy, which counts none of the requests of the first process.
    monkeypatch.setenv(f"{GROUP}ENDPOINT_URL", seaweed_proxy.url)
    assert call_command("files", "get", key, str(target)).returncode == 0
    fetched = sum("/chunk-" in each.path for each in seaweed_proxy.requests)
    assert fetched == len(chunks) - half, "those that were written are not fetched again"
    assert target.read_bytes() == b"".join(chunks)
    assert os.listdir(tmp_path) == ["talk.wav"]


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9])
def test_a_killed_upload_continues(
    seaweed: Seaweed, seaweed_faults: FaultProxy, tmp_path: Path, share: float
) -> None:
    path = write_file(tmp_path, CHUNKS)
    storage = storage_behind(seaweed_faults, seaweed)
    command = sender(storage, path)
    seaweed_faults.upload_bytes_per_second = 40e6

    def puts() -> int:
        return len(chunk_puts(seaweed_faults))

    with child(command, stdout=subprocess.PIPE, text=True) as first:
        wait_until(lambda: puts() >= share * CHUNKS)
        kill(first)
    before = puts()
    seaweed_faults.upload_bytes_per_second = None
    with child(command, stdout=subprocess.PIPE, text=True, env=os.environ) as second:
        key, _ = output_of(second)
    again = puts() - before - (CHUNKS - before)
    assert 0 <= again <= concurrent_chunks(CHUNK_BYTES, 16)
    assert downloaded(storage, key, tmp_path) == path.read_bytes()


def test_two_processes_upload_the_same_file_at_once(
    seaweed: Seaweed, seaweed_faults: FaultProxy, tmp_path: Path
) -> None:
    chunks = 4
    path = write_file(tmp_path, chunks)
    storage = storage_behind(seaweed_faults, seaweed)
    command = sender(storage, path)
    arrived: list[str] = []
    all_arrived = threading.Event()

    def hold(method: str) -> None:
        """Let no upload pass before every chunk is on its way from both processes."""
        if method == "PUT":
            arrived.append(method)
            if len(arrived) == 2 * chunks:
                all_arrived.set()
            all_arrived.wait(PATIENCE_SECONDS)

    seaweed_faults.choose = hold
    pipe: Any = {"stdout": subprocess.PIPE, "text": True}
    with child(command, **pipe) as first, child(command, **pipe) as second:
        keys = [output_of(each)[0] for each in (first, second)]
        assert [first.returncode, second.returncode] == [0, 0]
    assert keys[0] == keys[1] != ""
    statuses = [put.status for put in chunk_puts(seaweed_faults)]
    assert sorted(statuses) == [200] * chunks + [412] * chunks
    with open_store(BlobStorageConfig.model_validate(storage)) as store:
        assert len(list(store.list())) == chunks + 1  # and their list
    assert downloaded(storage, keys[0], tmp_path) == path.read_bytes()


def write_file(folder: Path, chunks: int) -> Path:
    path = folder / "talk.wav"
    with path.open("wb") as file:
        for number in range(chunks):
            file.write(bytes([number]) + CONTENT[1:])
    return path


def storage_behind(proxy: FaultProxy, seaweed: Seaweed) -> dict[str, str]:
    return s3_storage(seaweed, seaweed.make_bucket(), endpoint_url=proxy.url)


def sender(storage: dict[str, str], path: Path) -> list[str]:
    return [sys.executable, "-m", "tests.workers.file_sender", json.dumps(storage), str(path)]


def chunk_puts(proxy: FaultProxy) -> list[Passed]:
    return [each for each in proxy.requests if each.method == "PUT" and "/chunk-" in each.path]


def downloaded(storage: dict[str, str], key: str, folder: Path) -> bytes:
    config = FieldOffloadingConfig(storage_config=BlobStorageConfig.model_validate(storage))
    files = configured_files(config, None, NO_CIPHER)
    assert files is not None
    return files.download(FileReference.from_key(key.strip()), folder / "back").read_bytes()
