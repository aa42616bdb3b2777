"""Readers of what stores send: pages of listings and refusals; and of files with credentials."""

from __future__ import annotations

import io
import json
import os
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache, partial
from itertools import count, islice
from pathlib import Path
from typing import Any
from unittest import mock

import requests
import urllib3
from botocore.exceptions import EndpointConnectionError
from requests.adapters import HTTPAdapter

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.errors import MistralOffloadError
from mistral_offload.storage import open_store
from mistral_offload.storage.store import BlobStore

CANARY = "canary-7c21e0"
"""Stands in credentials where a secret does; no error may show it."""

_PAGES = 3
_SERVER = "http://127.0.0.1:1"


def _config(provider: StorageProvider, **settings: Any) -> BlobStorageConfig:
    return BlobStorageConfig(storage_provider=provider, retry_seconds=0, **settings)


_S3 = _config(
    StorageProvider.S3,
    bucket_name="bucket",
    endpoint_url=_SERVER,
    region_name="us-east-1",
    aws_access_key_id="key",
    aws_secret_access_key=CANARY,
)
_AZURE = _config(
    StorageProvider.AZURE,
    container_name="container",
    azure_connection_string=(
        f"DefaultEndpointsProtocol=http;AccountName=a;AccountKey=YQ==;BlobEndpoint={_SERVER}/a"
    ),
)
_GCS = _config(StorageProvider.GCS, bucket_id="bucket", endpoint_url=_SERVER)


def _send(status: int, body: bytes) -> Callable[..., requests.Response]:
    def send(_: object, request: requests.PreparedRequest, **__: object) -> requests.Response:
        headers = {"content-type": "application/xml"}
        raw = urllib3.HTTPResponse(
            io.BytesIO(body), status=status, headers=headers, preload_content=False
        )
        return HTTPAdapter().build_response(request, raw)

    return send


def _responding(status: int, body: bytes) -> Any:
    """Let every request of ``requests`` get a response, without a network."""
    return mock.patch("requests.adapters.HTTPAdapter.send", _send(status, body))


def _list(store: BlobStore) -> None:
    found = store.list("k")
    for blob in islice(found, _PAGES * 1000):
        assert isinstance(blob.key, str)
        assert isinstance(blob.size, int)
        assert blob.modified.tzinfo is not None


_STATUSES = (200, 200, 403, 412, 503)


@cache
def _store(config: BlobStorageConfig) -> BlobStore:
    return open_store(config)


def _read_page(config: BlobStorageConfig, body: bytes) -> None:
    store, status = _store(config), _STATUSES[len(body) % len(_STATUSES)]
    uses: list[Callable[[], object]] = [partial(_list, store)]
    if status == 200:
        uses.append(partial(store.stat, "k"))
    else:
        uses += [partial(store.delete, "k"), partial(store.put, "k", b"data")]
    with _responding(status, body):
        for use in uses:
            try:
                use()
            except MistralOffloadError as error:
                _require_no_secret(error)


def _gcs_page(data: bytes) -> None:
    _read_page(_GCS, data)


def _azure_page(data: bytes) -> None:
    _read_page(_AZURE, data)


def _s3_page(data: bytes) -> None:
    status = _STATUSES[len(data) % len(_STATUSES)]

    sent = count()

    def send(*_: object, **__: object) -> urllib3.HTTPResponse:
        return urllib3.HTTPResponse(
            io.BytesIO(data),
            status=status if next(sent) < _PAGES else 503,
            headers={"content-type": "application/xml"},
            preload_content=False,
            decode_content=False,
        )

    with mock.patch("mistral_offload.storage._s3_connections.Connections.send", send):
        try:
            _list(_store(_S3))
        except MistralOffloadError as error:
            _require_no_secret(error)


@contextmanager
def _as_file(data: bytes) -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder) / "credentials"
        path.write_bytes(data)
        yield path


def _google_credentials(data: bytes) -> None:
    with _as_file(data) as path:
        kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        as_default = kept | {
            "GOOGLE_APPLICATION_CREDENTIALS": str(path),
            "CLOUDSDK_CONFIG": str(path.parent),
            "GOOGLE_CLOUD_PROJECT": "p",
            "NO_GCE_CHECK": "true",
        }
        refused = json.dumps({"error": "invalid_grant", "error_description": "no"}).encode()
        place = {"bucket_id": "bucket", "endpoint_url": "https://127.0.0.1:1"}
        for settings in ({"service_account_path": path}, {}):
            config = _config(StorageProvider.GCS, **place, **settings)
            with (
                mock.patch.dict(os.environ, as_default, clear=True),
                mock.patch("subprocess.run", side_effect=OSError),  # federation by a program
                _responding(400, refused),
                open_store(config) as store,
            ):
                try:
                    store.stat("k")
                except MistralOffloadError as error:
                    _require_no_secret(error)


def _aws_config(data: bytes) -> None:
    with _as_file(data) as path:
        names = ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE")
        variables = dict.fromkeys(names, str(path)) | {"AWS_EC2_METADATA_DISABLED": "true"}
        config = _config(StorageProvider.S3, bucket_name="bucket", region_name="us-east-1")
        with (
            mock.patch.dict(os.environ, variables, clear=True),
            mock.patch(
                "botocore.httpsession.URLLib3Session.send",
                side_effect=EndpointConnectionError(endpoint_url=_SERVER),
            ),
            mock.patch("socket.getaddrinfo", side_effect=OSError),
            open_store(config) as store,
        ):
            try:
                store.stat("k")
            except MistralOffloadError as error:
                _require_no_secret(error)


def _require_no_secret(error: BaseException) -> None:
    """Check texts, arguments and members of an error and of those it was raised from."""
    waiting: list[object] = [error]
    seen: set[int] = set()
    while waiting:
        link = waiting.pop()
        if id(link) in seen:
            continue
        seen.add(id(link))
        if isinstance(link, BaseException):
            waiting += (link.__cause__, link.__context__, str(link), *link.args)
            waiting += vars(link).values()
        elif isinstance(link, (bytes, str)):
            text = link.decode("latin-1") if isinstance(link, bytes) else link
            assert CANARY not in text
        elif isinstance(link, (list, tuple)):
            waiting += link
        elif isinstance(link, dict):
            waiting += link.values()


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


_OBJECT = {"name": "k", "size": "1", "updated": "2026-01-01T00:00:00Z"}
_REFUSAL = {"code": 403, "message": "m", "errors": [{"reason": "forbidden", "message": "m"}]}
_SERVICE_ACCOUNT = {
    "type": "service_account",
    "project_id": "p",
    "private_key_id": "1",
    "private_key": f"-----BEGIN PRIVATE KEY-----\n{CANARY}\n-----END PRIVATE KEY-----\n",
    "client_email": "a@b",
    "token_uri": "https://127.0.0.1:1/token",
}
_FEDERATED = {
    "type": "external_account",
    "audience": "//iam.googleapis.com/projects/1/locations/global/workloadIdentityPools/p",
    "subject_token_type": "urn:ietf:params:oauth:token-type:jwt",
    "token_url": "https://127.0.0.1:1/token",
    "client_secret": CANARY,
    "credential_source": {"file": "/nonexistent"},
    "service_account_impersonation_url": (
        "https://127.0.0.1:1/v1/projects/-/serviceAccounts/a@b:generateAccessToken"
    ),
}
_USER = {
    "type": "authorized_user",
    "client_id": "c",
    "client_secret": CANARY,
    "refresh_token": CANARY,
}
_AZURE_PAGE = b"""<?xml version="1.0" encoding="utf-8"?><EnumerationResults ContainerName="c">
<Blobs><Blob><Name>k</Name><Properties><Last-Modified>Thu, 01 Jan 2026 00:00:00 GMT</Last-Modified>
<Etag>1</Etag><Content-Length>1</Content-Length><BlobType>BlockBlob</BlobType></Properties>
<Metadata><Hdi_isfolder>true</Hdi_isfolder></Metadata></Blob></Blobs><NextMarker>m</NextMarker>
</EnumerationResults>"""
_S3_PAGE = b"""<?xml version="1.0" encoding="UTF-8"?>
<ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>bucket</Name>
<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken><Contents>
<Key>k</Key><LastModified>2026-01-01T00:00:00.000Z</LastModified><Size>1</Size></Contents>
</ListBucketResult>"""
_AWS = f"""[default]
region = us-east-1
role_arn = arn:aws:iam::1:role/r
source_profile = other
[profile other]
aws_access_key_id = key
aws_secret_access_key = {CANARY}
""".encode()

READERS: dict[str, tuple[Callable[[bytes], None], tuple[bytes, ...], int]] = {
    "listing: s3": (_s3_page, (_S3_PAGE,), 200),
    "listing: azure": (
        _azure_page,
        (_AZURE_PAGE, b"<Error><Code>BlobImmutableDueToPolicy</Code><Message>m</Message></Error>"),
        200,
    ),
    "listing: gcs": (
        _gcs_page,
        (_json({"items": [_OBJECT], "nextPageToken": "t"}), _json({"error": _REFUSAL})),
        200,
    ),
    "credentials: google": (
        _google_credentials,
        (_json(_SERVICE_ACCOUNT), _json(_FEDERATED), _json(_USER)),
        100,
    ),
    "credentials: aws": (_aws_config, (_AWS,), 20),  # each makes a client, which takes long
}
"""Readers by name, with valid inputs, and the number of new inputs of a plain test."""
