"""S3 server of the measurements, in a separate process."""

from __future__ import annotations

import os
import re
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import boto3
from botocore.config import Config

from benchmarks.measurement import cpu_seconds_of
from mistral_offload.config import BlobStorageConfig
from tests.servers.process import ServerProcess, accepts_connections, free_ports

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

CONNECTIONS = 16
_LOCALBUCKET = """
import socketserver
# By default five connections may wait to be accepted. Linux ignores further ones, and their clients
# repeat the request after a second, which some rounds would measure.
socketserver.TCPServer.request_queue_size = 128
import localbucket
localbucket.main()
"""
_ROOM_BYTES = 4_000_000_000


class Bucket(NamedTuple):
    """Address and credentials of the bucket; can be passed to another process."""

    endpoint_url: str
    name: str = "bench-bucket"
    region_name: str = "eu-west-3"
    access_key: str = "bench"
    secret_key: str = "bench-secret"

    def client(self) -> S3Client:
        """Return a new boto3 session's client, with default settings except the pool size."""
        return boto3.Session().client(  # pyright: ignore[reportUnknownMemberType]
            "s3",
            endpoint_url=self.endpoint_url,
            region_name=self.region_name,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
            config=Config(max_pool_connections=CONNECTIONS),
        )

    def storage(self, **settings: object) -> BlobStorageConfig:
        """Return the same bucket as a storage config, with further ``settings``."""
        return BlobStorageConfig.model_validate(
            {
                "bucket_name": self.name,
                "endpoint_url": self.endpoint_url,
                "region_name": self.region_name,
                "aws_access_key_id": self.access_key,
                "aws_secret_access_key": self.secret_key,
                "connections": CONNECTIONS,
                **settings,
            }
        )


class S3Server:
    """A running server and its bucket."""

    def __init__(self, process: ServerProcess, bucket: Bucket) -> None:
        self._process = process
        self.bucket = bucket
        self._client = bucket.client()
        self._client.create_bucket(Bucket=bucket.name)

    def cpu_seconds(self) -> float:
        """Return the CPU time of the server so far."""
        return cpu_seconds_of(self._process.pid)

    def requests(self, prefix: str = "temporal") -> Counter[str]:
        """Count requests of all processes for these keys so far, by method, from the log."""
        return Counter(
            re.findall(rf'"(\w+) /{self.bucket.name}/{prefix}', self._process.full_log())
        )

    def clear(self) -> None:
        """Delete every blob."""
        pages = self._client.get_paginator("list_objects_v2").paginate(Bucket=self.bucket.name)
        for page in pages:
            for found in page.get("Contents", []):
                self._client.delete_object(Bucket=self.bucket.name, Key=found.get("Key", ""))


@contextmanager
def s3_server(*, in_memory: bool = True) -> Generator[S3Server]:
    """Run localbucket, the S3 server with the lowest cost of its own among those available.

    Args:
        in_memory: keep its files in memory, if there is room.
    """
    place = memory_disk() if in_memory else None
    with tempfile.TemporaryDirectory(prefix="bench-", dir=place) as folder:
        (port,) = free_ports(1)
        process = ServerProcess(
            [sys.executable, "-c", _LOCALBUCKET, "--port", str(port), folder],
            ready=lambda: accepts_connections(port),
        )
        try:
            yield S3Server(process, Bucket(f"http://127.0.0.1:{port}"))
        finally:
            process.stop(grace=1)


def memory_disk(room: int = _ROOM_BYTES) -> str | None:
    """Return a folder in memory, so that no disk is measured; None if it has less room in bytes."""
    place = "/dev/shm"
    if os.access(place, os.W_OK) and min(shutil.disk_usage(place).free, _free_memory()) > room:
        return place
    return None


def _free_memory() -> int:
    """Return the bytes that processes can still use, caches of the kernel included."""
    found = re.search(
        r"^MemAvailable:\s+(\d+) kB$", Path("/proc/meminfo").read_text(), re.MULTILINE
    )
    return int(found[1]) * 1024 if found else 0
