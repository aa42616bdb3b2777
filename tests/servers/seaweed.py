"""SeaweedFS, the S3 server of the tests: it checks signatures, checksums and conditional writes."""

from __future__ import annotations

import json
import shutil
import sysconfig
import tempfile
import urllib.error
import urllib.request
import uuid
from pathlib import Path
from typing import TYPE_CHECKING

from tests.servers.certificates import make_certificate
from tests.servers.process import ServerFailedError, ServerProcess, free_ports

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

_STARTS = 3
_PARTS = ("s3", "master", "volume", "filer", "admin")
_PORTS = [f"{part}.port{kind}" for part in _PARTS for kind in ("", ".grpc")]


class Seaweed:
    """A running ``weed mini`` with a few users and its own folder.

    Args:
        parent: where to make the folder; by default among the temporary files.

    Attributes:
        endpoint_url: the S3 endpoint, over plain HTTP.
        port: the port of ``endpoint_url``.
        https_url: the endpoint over TLS, with the certificate ``ca_file``.
        ca_file: the certificate authority, for AWS_CA_BUNDLE; also the certificate itself.
        key_file: the certificate's key.
        access_key, secret_key: a user with all permissions.
        listing_access_key: a user with the same secret key, who may only list keys.
        reading_access_key: a user with the same secret key, who may only read.
        browsing_access_key: a user with the same secret key, who may read and list.
        writing_access_key: a user with the same secret key, who may read and write, not list.
        region_name: any region is fine with it.
    """

    region_name = "eu-west-3"
    access_key = "AKIASEAWEEDTESTS0001"
    listing_access_key = "AKIASEAWEEDTESTS0002"
    reading_access_key = "AKIASEAWEEDTESTS0003"
    browsing_access_key = "AKIASEAWEEDTESTS0004"
    writing_access_key = "AKIASEAWEEDTESTS0005"
    secret_key = "seaweed+tests/secret-key-not-a-real-one0"

    def __init__(self, *, parent: str | None = None) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="seaweed-", dir=parent))
        self.ca_file, self.key_file = make_certificate(self._directory)
        self._process = self._start()

    @property
    def pid(self) -> int:
        """Process id of the server."""
        return self._process.pid

    def client(self, *, tls: bool = False) -> S3Client:
        """Return a plain boto3 client to inspect the bucket; the caller closes it."""
        import boto3

        return boto3.Session().client(  # pyright: ignore[reportUnknownMemberType]
            "s3",
            endpoint_url=self.https_url if tls else self.endpoint_url,
            verify=str(self.ca_file) if tls else None,
            region_name=self.region_name,
            aws_access_key_id=self.access_key,
            aws_secret_access_key=self.secret_key,
        )

    def make_bucket(self) -> str:
        """Create a bucket with a unique name; return the name."""
        name = f"bucket-{uuid.uuid4().hex[:12]}"
        client = self.client()
        try:
            client.create_bucket(Bucket=name)
        finally:
            client.close()
        return name

    def log(self) -> str:
        """Return the end of the server's log."""
        return self._process.log()

    def stop(self) -> None:
        """Stop the server and remove its folder."""
        self._process.stop(grace=0)  # a graceful stop takes 2 s, and the data is removed anyway
        shutil.rmtree(self._directory, ignore_errors=True)

    def _start(self) -> ServerProcess:
        for attempt in range(1, _STARTS + 1):
            try:
                return self._start_on(free_ports(11))
            except ServerFailedError:  # another process may have taken one of the ports
                if attempt == _STARTS:
                    shutil.rmtree(self._directory, ignore_errors=True)
                    raise
        raise AssertionError

    def _start_on(self, ports: list[int]) -> ServerProcess:
        *ports, https_port = ports
        self.port = ports[0]
        self.endpoint_url = f"http://127.0.0.1:{self.port}"
        self.https_url = f"https://127.0.0.1:{https_port}"
        users = self._directory / "s3.json"
        users.write_text(json.dumps(self._users()))
        data = self._directory / "data"
        data.mkdir(exist_ok=True)
        return ServerProcess(
            [
                Path(sysconfig.get_path("scripts")) / "weed",
                "-logtostderr=true",
                "mini",
                f"-dir={data}",
                "-ip=127.0.0.1",
                "-ip.bind=127.0.0.1",
                *(f"-{name}={port}" for name, port in zip(_PORTS, ports, strict=True)),
                f"-s3.port.https={https_port}",
                f"-s3.cert.file={self.ca_file}",
                f"-s3.key.file={self.key_file}",
                "-s3.port.iceberg=0",
                "-s3.port.lance=0",
                "-webdav=false",
                "-admin.ui=false",
                "-master.telemetry=false",
                "-volume.max=10000",  # each bucket has volumes of its own
                "-s3.autoCreateBucket=false",
                "-s3.allowDeleteBucketNotEmpty=false",
                f"-s3.config={users}",
            ],
            ready=self._answers,
            timeout=30,
            directory=self._directory,
        )

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(self.endpoint_url + "/healthz", timeout=2):
                return True
        except urllib.error.HTTPError as error:
            error.close()
            return False
        except OSError:
            return False

    def _users(self) -> dict[str, object]:
        actions = {
            self.access_key: ["Admin", "Read", "Write", "List", "Tagging"],
            self.listing_access_key: ["List"],
            self.reading_access_key: ["Read"],
            self.browsing_access_key: ["Read", "List"],
            self.writing_access_key: ["Read", "Write"],
        }
        return {
            "identities": [
                {
                    "name": key,
                    "credentials": [{"accessKey": key, "secretKey": self.secret_key}],
                    "actions": allowed,
                }
                for key, allowed in actions.items()
            ]
        }
