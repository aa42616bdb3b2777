"""One put or get at a time on Azure and Google, beside the call of each provider's own SDK."""

from __future__ import annotations

import hashlib
from collections.abc import Generator
from contextlib import contextmanager
from typing import Any, NamedTuple, cast

from azure.storage.blob import ContainerClient
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage  # pyright: ignore[reportMissingTypeStubs]

from benchmarks import targets
from benchmarks.measurement import cpu_seconds_of, race
from benchmarks.results import MEGABYTE, Row, Table
from benchmarks.servers import CONNECTIONS
from benchmarks.session import Session
from benchmarks.transfers import getting, putting
from benchmarks.values import json_of
from benchmarks.ways import Ours, Transfers
from mistral_offload.config import BlobStorageConfig
from tests.servers.azurite import Azurite
from tests.servers.gcs import FakeGCS

_ROUNDS = {0.1: 60, 1: 40, 8: 15, 32: 7}
_QUICK_ROUNDS = {0.1: 10, 1: 5, 8: 3}


class _Place(NamedTuple):
    """A container of an emulator, as settings of a store."""

    settings: dict[str, object]

    def storage(self, **settings: object) -> BlobStorageConfig:
        """Return the storage config, with further ``settings``."""
        return BlobStorageConfig.model_validate(
            {**self.settings, "connections": CONNECTIONS, **settings}
        )


class _Azure:
    """One call of one client, which keeps its connection."""

    way = "azure-storage-blob"

    def __init__(self, client: ContainerClient) -> None:
        self._client = client

    def put(self, name: str, data: bytes) -> object:
        """Send one PUT, for a name that does not exist yet."""
        return self._client.upload_blob(name, data, overwrite=False)

    def get(self, name: str) -> bytes:
        """Read the whole blob."""
        return self._client.download_blob(name).readall()


class _Google:
    """One call of one client, which keeps its connection; CRC32C is computed, as by default."""

    way = "google-cloud-storage"

    def __init__(self, bucket: Any) -> None:
        self._bucket = bucket

    def put(self, name: str, data: bytes) -> object:
        """Upload a blob, for a name that does not exist yet."""
        self._bucket.blob(name).upload_from_string(data, if_generation_match=0, checksum="crc32c")
        return None

    def get(self, name: str) -> bytes:
        """Download the blob."""
        return cast("bytes", self._bucket.blob(name).download_as_bytes(checksum="crc32c"))


class _Hashed:
    """A way plus a SHA-256 of the bytes: the least that a key with a digest costs."""

    def __init__(self, transfers: Transfers) -> None:
        self._transfers = transfers
        self.way = f"{transfers.way} + SHA-256"

    def put(self, name: str, data: bytes) -> object:
        """Compute the digest, and put."""
        return hashlib.sha256(data).digest(), self._transfers.put(name, data)

    def get(self, name: str) -> bytes:
        """Get, and compute the digest."""
        data = self._transfers.get(name)
        hashlib.sha256(data).digest()
        return data


class _Emulator(NamedTuple):
    name: str
    pid: int
    place: _Place
    sdk: Transfers


def measure(session: Session) -> list[Table]:
    """Measure puts, then gets, of every size, on each emulator."""
    puts: list[Row] = []
    gets: list[Row] = []
    for open_emulator in (_azure, _google):
        with open_emulator() as emulator:
            for size, rounds in (_QUICK_ROUNDS if session.quick else _ROUNDS).items():
                session.tell(f"providers: {emulator.name}, {size:g} MB")
                puts.append(_row(emulator, "put", size, rounds))
                gets.append(_row(emulator, "get", size, rounds))
    notes = (
        "The call of the SDK, of one client whose connection is open, alone and with a SHA-256 of "
        "the bytes: we compute the digest in the key for a put, and check it for a get. Azurite "
        "and fake-gcs-server hold the blobs in memory; their own time says nothing about the real "
        "services."
    )
    return [Table("Azure and Google, one at a time", [*puts, *gets], notes)]


def _row(emulator: _Emulator, operation: str, size: float, rounds: int) -> Row:
    ways: list[Transfers] = [Ours(emulator.place), emulator.sdk, _Hashed(emulator.sdk)]
    data = json_of(int(size * MEGABYTE))
    lines = race(
        [(putting if operation == "put" else getting)(way, data) for way in ways],
        rounds,
        lambda: cpu_seconds_of(emulator.pid),
    )
    compared = lines[1:] if operation == "put" else lines[2:]
    wanted = [targets.near_sdk_cpu(line) for line in compared]
    return Row(f"{emulator.name}: {operation}, {size:g} MB", lines, wanted)


@contextmanager
def _azure() -> Generator[_Emulator]:
    server = Azurite()
    try:
        container, address = server.make_container(), server.connection_string()
        place = _Place(
            {
                "storage_provider": "azure",
                "container_name": container,
                "azure_connection_string": address,
            }
        )
        with ContainerClient.from_connection_string(address, container) as client:
            yield _Emulator("Azure", server.pid, place, _Azure(client))
    finally:
        server.stop()


@contextmanager
def _google() -> Generator[_Emulator]:
    server = FakeGCS()
    try:
        bucket = server.make_bucket()
        place = _Place({"storage_provider": "gcs", "bucket_id": bucket, "endpoint_url": server.url})
        client: Any = storage.Client(
            project="bench",
            credentials=cast("Any", AnonymousCredentials)(),
            client_options={"api_endpoint": server.url},
        )
        try:
            yield _Emulator("Google", server.pid, place, _Google(client.bucket(bucket)))
        finally:
            client.close()
    finally:
        server.stop()
