"""Servers that files are sent to, each with the calls of its provider's own SDK beside ours.

Every upload goes to a bucket of its own, so that no chunk is there already, and so that the files
of earlier rounds can be removed: SeaweedFS frees the space of a deleted blob only with its bucket.
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, cast

from azure.storage.blob import BlobServiceClient, ContainerClient
from boto3.s3.transfer import TransferConfig
from google.auth.credentials import AnonymousCredentials
from google.cloud import storage  # pyright: ignore[reportMissingTypeStubs]
from google.cloud.storage import transfer_manager  # pyright: ignore[reportMissingTypeStubs]

from benchmarks.measurement import cpu_seconds_of
from benchmarks.servers import CONNECTIONS, Bucket, S3Server
from mistral_offload.config import BlobStorageConfig
from mistral_offload.files.chunks import CHUNK_BYTES, concurrent_chunks
from tests.servers.azurite import Azurite
from tests.servers.gcs import FakeGCS
from tests.servers.seaweed import Seaweed

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONCURRENCY = concurrent_chunks(CHUNK_BYTES, CONNECTIONS)
"""Chunks that ours transfers at a time; the SDKs are given the same number."""

_KEY = "recording"


class FilePlace(Protocol):
    """A bucket of its own, with the calls of the SDK for one file."""

    def storage(self) -> BlobStorageConfig:
        """Return it as a storage config."""
        ...

    def upload(self, path: Path) -> None:
        """Upload a local file with the SDK."""
        ...

    def download(self, path: Path) -> None:
        """Download that file with the SDK."""
        ...

    def remove(self) -> None:
        """Delete the bucket and all in it."""
        ...


class FileServer(NamedTuple):
    """A running server.

    Attributes:
        prefix: begins the names of its rows.
        uploading, downloading: names of the SDK's ways.
        cpu_seconds: returns the CPU time of the server so far.
        make_place: makes a new bucket.
    """

    prefix: str
    uploading: str
    downloading: str
    cpu_seconds: Callable[[], float]
    make_place: Callable[[], FilePlace]


class _S3Place:
    def __init__(self, bucket: Bucket, client: S3Client) -> None:
        self._bucket, self._client = bucket, client
        self._config = TransferConfig(max_concurrency=CONCURRENCY)
        client.create_bucket(Bucket=bucket.name)

    def storage(self) -> BlobStorageConfig:
        return self._bucket.storage()

    def upload(self, path: Path) -> None:
        self._client.upload_file(str(path), self._bucket.name, _KEY, Config=self._config)

    def download(self, path: Path) -> None:
        self._client.download_file(self._bucket.name, _KEY, str(path), Config=self._config)

    def remove(self) -> None:
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self._bucket.name)
        for page in pages:
            for found in page.get("Contents", []):
                self._client.delete_object(Bucket=self._bucket.name, Key=found.get("Key", ""))
        self._client.delete_bucket(Bucket=self._bucket.name)


class _AzurePlace:
    def __init__(self, settings: dict[str, object], container: ContainerClient) -> None:
        self._settings, self._container = settings, container
        container.create_container()

    def storage(self) -> BlobStorageConfig:
        container = {"container_name": self._container.container_name}
        return BlobStorageConfig.model_validate({**self._settings, **container})

    def upload(self, path: Path) -> None:
        with path.open("rb") as file:
            self._container.upload_blob(_KEY, file, max_concurrency=CONCURRENCY)

    def download(self, path: Path) -> None:
        with path.open("wb") as file:
            self._container.download_blob(_KEY, max_concurrency=CONCURRENCY).readinto(file)

    def remove(self) -> None:
        self._container.delete_container()


class _GooglePlace:
    def __init__(self, settings: dict[str, object], bucket: Any) -> None:
        self._settings, self._bucket = settings, bucket
        bucket.create()

    def storage(self) -> BlobStorageConfig:
        return BlobStorageConfig.model_validate({**self._settings, "bucket_id": self._bucket.name})

    def upload(self, path: Path) -> None:
        # The emulator has no XML API, which the SDK needs to upload in parts.
        self._bucket.blob(_KEY).upload_from_filename(str(path))

    def download(self, path: Path) -> None:
        transfers = cast("Any", transfer_manager)
        transfers.download_chunks_concurrently(
            self._bucket.blob(_KEY),
            str(path),
            chunk_size=CHUNK_BYTES,
            worker_type=transfers.THREAD,
            max_workers=CONCURRENCY,
        )

    def remove(self) -> None:
        self._bucket.delete(force=True)


def fast_server(server: S3Server) -> FileServer:
    """Return the S3 server of all measurements."""
    client = server.bucket.client()
    return FileServer(
        "",
        "boto3 upload_file",
        "boto3 download_file",
        server.cpu_seconds,
        lambda: _S3Place(server.bucket._replace(name=_new_name()), client),
    )


@contextmanager
def seaweed_server(parent: str | None) -> Generator[FileServer]:
    """Run SeaweedFS with its files below a folder."""
    server = Seaweed(parent=parent)
    try:
        bucket = Bucket(
            server.endpoint_url,
            region_name=server.region_name,
            access_key=server.access_key,
            secret_key=server.secret_key,
        )
        client = bucket.client()
        yield FileServer(
            "SeaweedFS: ",
            "boto3 upload_file",
            "boto3 download_file",
            lambda: cpu_seconds_of(server.pid),
            lambda: _S3Place(bucket._replace(name=_new_name()), client),
        )
    finally:
        server.stop()


@contextmanager
def azure_server() -> Generator[FileServer]:
    """Run Azurite, in memory."""
    server = Azurite()
    try:
        address = server.connection_string()
        settings: dict[str, object] = {
            "storage_provider": "azure",
            "azure_connection_string": address,
            "connections": CONNECTIONS,
        }
        with BlobServiceClient.from_connection_string(address) as client:
            yield FileServer(
                "Azurite: ",
                "azure-storage-blob upload_blob",
                "azure-storage-blob download_blob",
                lambda: cpu_seconds_of(server.pid),
                lambda: _AzurePlace(settings, client.get_container_client(_new_name())),
            )
    finally:
        server.stop()


@contextmanager
def google_server() -> Generator[FileServer]:
    """Run fake-gcs-server, in memory."""
    server = FakeGCS()
    try:
        settings: dict[str, object] = {
            "storage_provider": "gcs",
            "endpoint_url": server.url,
            "connections": CONNECTIONS,
        }
        client: Any = storage.Client(
            project="bench",
            credentials=cast("Any", AnonymousCredentials)(),
            client_options={"api_endpoint": server.url},
        )
        try:
            yield FileServer(
                "fake-gcs-server: ",
                "google-cloud-storage upload_from_filename",
                "google-cloud-storage download_chunks_concurrently",
                lambda: cpu_seconds_of(server.pid),
                lambda: _GooglePlace(settings, client.bucket(_new_name())),
            )
        finally:
            client.close()
    finally:
        server.stop()


def _new_name() -> str:
    return f"files-{uuid.uuid4().hex[:12]}"
