"""Fixtures of the storage tests: each backend in turn, and keys nobody else uses."""

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
def boto_models() -> Iterator[None]:
    """Reads boto3's description of S3 once: 90 of the 100 ms that a client takes."""
    import botocore.session
    from botocore.loaders import create_loader

    loader = create_loader()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(botocore.session, "create_loader", lambda *_: loader)
        yield


@pytest.fixture
def store(backend: Backend) -> BlobStore:
    return backend.open()


@pytest.fixture
def root() -> str:
    """The first segment of a test's keys, for the bucket is shared."""
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
