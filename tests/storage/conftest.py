"""Fixtures of the storage tests: each backend in turn, and unique keys."""

from __future__ import annotations

import socket
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from mistral_offload.storage import BlobStore
from tests.storage.backends import (
    AzureBackend,
    Backend,
    GCSBackend,
    LocalBackend,
    MemoryBackend,
    S3Backend,
)
from tests.storage.clock import Clock


@pytest.fixture(params=["memory", "local", "s3", "azure", "gcs"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    made = _backend(request, tmp_path)
    yield made
    made.close()


def _backend(request: pytest.FixtureRequest, directory: Path) -> Backend:
    if request.param == "memory":
        return MemoryBackend()
    if request.param == "local":
        return LocalBackend(directory / "blobs")
    if request.param == "azure":
        return AzureBackend(
            request.getfixturevalue("azurite"), request.getfixturevalue("azurite_container")
        )
    if request.param == "gcs":
        return GCSBackend(
            request.getfixturevalue("fake_gcs"), request.getfixturevalue("fake_gcs_bucket")
        )
    return S3Backend(request.getfixturevalue("seaweed"), request.getfixturevalue("seaweed_bucket"))


@pytest.fixture(scope="session", autouse=True)
def clients_are_cheap(boto_models: None) -> None:
    """Make clients of S3 quickly, also those of tests that take no server."""


@pytest.fixture
def store(backend: Backend) -> BlobStore:
    return backend.open()


@pytest.fixture
def root() -> str:
    """A unique first segment for a test's keys, because the bucket is shared."""
    return f"test-{uuid.uuid4().hex[:12]}"


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    """The clock of retries and ordered delays; see `Clock.drive`."""
    return Clock(monkeypatch)


@pytest.fixture
def dialled(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The ports to which this process opens TCP connections, in order."""
    ports: list[int] = []
    connect = socket.socket.connect

    def counting(self: socket.socket, address: tuple[str, int]) -> None:
        ports.append(address[1])
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", counting)
    return ports
