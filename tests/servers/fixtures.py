"""Fixtures for servers: one server per test session, one proxy per test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from mistral_offload.devserver import LocalPlatform
from tests.servers.azurite import Azurite
from tests.servers.gcs import FakeGCS
from tests.servers.gcs_buckets import GCSBuckets
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.servers.temporal_reader import TemporalReader
from tests.servers.worker import WorkerProcess


@pytest.fixture(scope="session")
def seaweed() -> Iterator[Seaweed]:
    """SeaweedFS, started when the first test asks for it."""
    server = Seaweed()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def seaweed_bucket(seaweed: Seaweed) -> str:
    """A bucket shared by tests that use unique keys."""
    return seaweed.make_bucket()


@pytest.fixture
def seaweed_proxy(seaweed: Seaweed) -> Iterator[CountingProxy]:
    """A proxy that counts requests to SeaweedFS; use its ``url`` as the endpoint."""
    proxy = CountingProxy(seaweed.port)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def azurite() -> Iterator[Azurite]:
    """Azurite, installed and started when the first test asks for it."""
    server = Azurite()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def azurite_container(azurite: Azurite) -> str:
    """A container shared by tests that use unique keys."""
    return azurite.make_container()


@pytest.fixture
def azurite_proxy(azurite: Azurite) -> Iterator[CountingProxy]:
    """A proxy that counts requests to Azurite; see ``Azurite.through``."""
    proxy = CountingProxy(azurite.port)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def fake_gcs() -> Iterator[FakeGCS]:
    """fake-gcs-server, started when the first test asks for it."""
    server = FakeGCS()
    yield server
    server.stop()


@pytest.fixture(scope="session")
def fake_gcs_bucket(fake_gcs: FakeGCS) -> str:
    """A bucket shared by tests that use unique keys."""
    return fake_gcs.make_bucket()


@pytest.fixture
def fake_gcs_proxy(fake_gcs: FakeGCS) -> Iterator[CountingProxy]:
    """A proxy that counts requests to fake-gcs-server; use its ``url`` as the endpoint."""
    proxy = CountingProxy(fake_gcs.port)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def gcs_buckets() -> Iterator[GCSBuckets]:
    """gcp-storage-emulator, started when the first test asks for it."""
    server = GCSBuckets()
    yield server
    server.stop()


@pytest.fixture
def gcs_buckets_proxy(gcs_buckets: GCSBuckets) -> Iterator[CountingProxy]:
    """A proxy that counts requests to gcp-storage-emulator; use its ``url`` as the endpoint."""
    proxy = CountingProxy(gcs_buckets.port)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def local_platform() -> Iterator[LocalPlatform]:
    """The local platform on a real Temporal server."""
    with LocalPlatform() as platform:
        yield platform


@pytest.fixture(scope="session")
def temporal(local_platform: LocalPlatform) -> TemporalReader:
    """A reader of the histories on that Temporal server."""
    return TemporalReader(local_platform)


@pytest.fixture(scope="session")
def local_worker(
    local_platform: LocalPlatform, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[WorkerProcess]:
    """The example worker with a directory as its store."""
    directory = tmp_path_factory.mktemp("blobs")
    worker = WorkerProcess(local_platform, {"storage_provider": "local", "path": str(directory)})
    yield worker
    worker.stop()
