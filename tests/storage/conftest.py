"""Fixtures of the storage tests: each backend in turn, and keys nobody else uses."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from mistral_offload.storage import BlobStore
from tests.storage.backends import Backend, LocalBackend, MemoryBackend, S3Backend


@pytest.fixture(params=["memory", "local", "s3"])
def backend(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Backend]:
    made = _backend(request, tmp_path)
    yield made
    made.close()


def _backend(request: pytest.FixtureRequest, directory: Path) -> Backend:
    if request.param == "memory":
        return MemoryBackend()
    if request.param == "local":
        return LocalBackend(directory / "blobs")
    return S3Backend(request.getfixturevalue("seaweed"), request.getfixturevalue("seaweed_bucket"))


@pytest.fixture
def store(backend: Backend) -> BlobStore:
    return backend.open()


@pytest.fixture
def root() -> str:
    """The first segment of a test's keys, for the bucket is shared."""
    return f"test-{uuid.uuid4().hex[:12]}"
