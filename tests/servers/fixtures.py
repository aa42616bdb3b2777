"""Fixtures for servers: one server of each kind per test run, one proxy per test."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

import pytest

from tests.servers.azurite import Azurite
from tests.servers.gcs import FakeGCS
from tests.servers.gcs_buckets import GCSBuckets
from tests.servers.pool import RemotePool, ServerPool
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.servers.worker import WorkerProcess

if TYPE_CHECKING:  # not everywhere: some tests run without the extras these need
    from mistral_offload.devserver import LocalPlatform
    from tests.servers.temporal_reader import TemporalReader

_POOL = pytest.StashKey[ServerPool | RemotePool]()


def pytest_configure(config: pytest.Config) -> None:
    """Make the pool in the run's main process; its other processes use it from there."""
    if (arguments := getattr(config, "workerinput", None)) is None:
        config.stash[_POOL] = ServerPool()
    else:
        config.stash[_POOL] = RemotePool(**arguments["server_pool"])


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    """Tell a process of pytest-xdist where the pool is."""
    node.workerinput["server_pool"] = node.config.stash[_POOL].listen()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Stop the servers at the end of the run, however it ends."""
    if isinstance(pool := config.stash[_POOL], ServerPool):
        pool.stop()


@pytest.fixture(scope="session")
def server_pool(pytestconfig: pytest.Config) -> ServerPool | RemotePool:
    """The servers of this run."""
    return pytestconfig.stash[_POOL]


@pytest.fixture(scope="session")
def boto_models() -> Iterator[None]:
    """Read boto3's S3 model once: reading takes 90 of the 100 ms that creating a client takes."""
    with pytest.MonkeyPatch.context() as patched:
        if find_spec("botocore") is not None:
            import botocore.session
            from botocore.loaders import create_loader

            loader = create_loader()
            patched.setattr(botocore.session, "create_loader", lambda *_: loader)
        yield


@pytest.fixture(scope="session")
def seaweed(server_pool: ServerPool, boto_models: None) -> Seaweed:
    """SeaweedFS, started when the first test asks for it."""
    return server_pool.get(Seaweed)


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
def azurite(server_pool: ServerPool) -> Azurite:
    """Azurite, installed and started when the first test asks for it."""
    return server_pool.get(Azurite)


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
def fake_gcs(server_pool: ServerPool) -> FakeGCS:
    """fake-gcs-server, started when the first test asks for it."""
    return server_pool.get(FakeGCS)


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
def gcs_buckets(server_pool: ServerPool) -> GCSBuckets:
    """gcp-storage-emulator, started when the first test asks for it."""
    return server_pool.get(GCSBuckets)


@pytest.fixture
def gcs_buckets_proxy(gcs_buckets: GCSBuckets) -> Iterator[CountingProxy]:
    """A proxy that counts requests to gcp-storage-emulator; use its ``url`` as the endpoint."""
    proxy = CountingProxy(gcs_buckets.port)
    yield proxy
    proxy.stop()


@pytest.fixture(scope="session")
def local_platform(server_pool: ServerPool) -> LocalPlatform:
    """The local platform on a real Temporal server."""
    from tests.servers.platform import SharedPlatform

    return server_pool.get(SharedPlatform)


@pytest.fixture(scope="session")
def temporal_target(local_platform: LocalPlatform) -> str:
    """``host:port`` of that Temporal server, which has the namespace ``default`` as well."""
    return local_platform.temporal_address


@pytest.fixture(scope="session")
def temporal(local_platform: LocalPlatform) -> TemporalReader:
    """A reader of the histories on that Temporal server."""
    from tests.servers.temporal_reader import TemporalReader

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
