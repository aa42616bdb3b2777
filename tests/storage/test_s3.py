"""S3 specifics: requests, connections, checksums, and client setup."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import hashlib
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import pytest

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import MissingExtraError, StorageConfigError, StorageError
from mistral_offload.storage import _s3_client, _s3_pages, s3
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.protection import ALWAYS, protection
from mistral_offload.storage.s3 import S3Store
from tests.bounds import PATIENCE_SECONDS, Threads, wait_until, within
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.storage.backends import boto3_sends_checksums, s3_config

if TYPE_CHECKING:
    from botocore.awsrequest import AWSRequest

MIB = 1024 * 1024


@pytest.fixture
def proxied(
    seaweed: Seaweed, seaweed_bucket: str, seaweed_proxy: CountingProxy, root: str
) -> Iterator[S3Store]:
    """A store behind the counting proxy, with a unique prefix."""
    config = s3_config(seaweed, seaweed_bucket, root, endpoint_url=seaweed_proxy.url, connections=8)
    with S3Store(config) as store:
        yield store


def test_each_operation_is_one_request(proxied: S3Store, seaweed_proxy: CountingProxy) -> None:
    def asked_by(operation: Callable[[], object]) -> dict[str, int]:
        seaweed_proxy.clear()
        operation()
        return dict(seaweed_proxy.counts())

    for size in (4, MIB):
        key = f"blob-{size}"
        assert asked_by(lambda: proxied.put(key, bytes(size))) == {"PUT": 1}  # noqa: B023
        assert asked_by(lambda: proxied.put(key, bytes(size))) == {"PUT": 1}  # noqa: B023
        assert seaweed_proxy.requests[0].status == 412
        assert asked_by(lambda: proxied.get(key)) == {"GET": 1}  # noqa: B023
        assert asked_by(lambda: proxied.stat(key)) == {"HEAD": 1}  # noqa: B023
    assert asked_by(lambda: list(proxied.list())) == {"GET": 1}
    assert asked_by(lambda: proxied.delete("blob-4")) == {"DELETE": 1}
    assert asked_by(lambda: proxied.delete("blob-4")) == {"DELETE": 1}


def test_the_requests_of_a_blob_and_its_cache(
    proxied: S3Store, seaweed_proxy: CountingProxy
) -> None:
    data = bytes(MIB)
    digest = hashlib.sha256(data).hexdigest()

    def asked_by(operation: Callable[[], object]) -> dict[str, int]:
        seaweed_proxy.clear()
        operation()
        return dict(seaweed_proxy.counts())

    writer, another, reader = (BlobCache(proxied) for _ in range(3))
    with protection(ALWAYS):
        assert asked_by(lambda: writer.put(digest, data, digest)) == {"PUT": 1}
        assert asked_by(lambda: writer.put(digest, data, digest)) == {}
        assert asked_by(lambda: another.put(digest, data, digest)) == {"PUT": 1, "HEAD": 1}
        assert seaweed_proxy.requests[0].status == 412
        assert asked_by(lambda: another.put(digest, data, digest)) == {}
        assert asked_by(lambda: writer.get(digest, digest)) == {}
        assert asked_by(lambda: reader.get(digest, digest)) == {"GET": 1}
        assert asked_by(lambda: reader.get(digest, digest)) == {}
        assert asked_by(lambda: reader.put(digest, data, digest)) == {}
    with protection(time.monotonic()):  # another run; the age is known already
        assert asked_by(lambda: writer.put(digest, data, digest)) == {"PUT": 1}
        assert asked_by(lambda: writer.put(digest, data, digest)) == {}
    for _ in range(2):  # a client, which knows of no run
        assert asked_by(lambda: writer.put(digest, data, digest)) == {"PUT": 1}
    assert seaweed_proxy.most_at_once == 1


def test_one_connection_serves_one_caller(proxied: S3Store, seaweed_proxy: CountingProxy) -> None:
    for number in range(10):
        key = f"k{number}"
        proxied.put(key, bytes(number * 100_000))
        proxied.put(key, bytes(number * 100_000))
        proxied.get(key)
        proxied.stat(key)
        with pytest.raises(Exception, match="nothing is stored"):
            proxied.get("missing")
        proxied.delete(key)
    assert seaweed_proxy.connections == 1


def test_never_more_connections_than_the_store_may_have(
    proxied: S3Store, seaweed_proxy: CountingProxy
) -> None:
    async def awaiting(number: int) -> None:
        keys = [f"{number}-{turn}" for turn in range(20)]
        await within(asyncio.gather(*(proxied.put_async(key, b"data") for key in keys)))
        await within(asyncio.gather(*(proxied.get_async(key) for key in keys)))

    def blocking(number: int) -> None:
        for turn in range(5):
            proxied.put(f"{number}-{turn}", b"data")
            proxied.get(f"{number}-{turn}")

    with Threads() as threads:
        running = [threads.submit(blocking, number) for number in range(47)]
        running += [threads.submit(asyncio.run, awaiting(-number)) for number in range(1, 4)]
        for done in running:
            done.result()
    assert seaweed_proxy.counts() == {"PUT": 47 * 5 + 3 * 20, "GET": 47 * 5 + 3 * 20}
    assert seaweed_proxy.connections <= 8


def test_threads_that_come_first_at_once_make_one_client(
    proxied: S3Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[int] = []

    def counting(config: BlobStorageConfig) -> _s3_client.Connected:
        made.append(config.connections)
        return _s3_client.connect(config)

    monkeypatch.setattr(s3, "connect", counting)
    start = threading.Barrier(8, timeout=PATIENCE_SECONDS)

    def put(number: int) -> None:
        start.wait()
        proxied.put(f"k{number}", b"")

    with Threads() as threads:
        threads.map(put, range(8))
    assert made == [8]


@pytest.mark.parametrize("ending", ["dropped", "closed"])
def test_connections_end_with_the_store(
    seaweed: Seaweed, seaweed_bucket: str, seaweed_proxy: CountingProxy, ending: str
) -> None:
    store = S3Store(s3_config(seaweed, seaweed_bucket, endpoint_url=seaweed_proxy.url))
    list(store.list("nothing"))
    assert seaweed_proxy.open_now == 1
    gc.disable()
    try:
        if ending == "closed":
            store.close()
        del store
        wait_until(lambda: seaweed_proxy.open_now == 0)
    finally:
        gc.enable()


def test_the_digest_is_the_checksum_and_the_signature(
    proxied: S3Store,
    seaweed: Seaweed,
    seaweed_proxy: CountingProxy,
    root: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    from botocore.auth import S3SigV4Auth

    payload = S3SigV4Auth.payload

    def only_without_body(signer: S3SigV4Auth, request: AWSRequest) -> str:
        assert request.method != "PUT", "botocore hashes the body again"
        return payload(signer, request)

    monkeypatch.setattr(S3SigV4Auth, "payload", only_without_body)
    for data in (b"small", bytes(2 * MIB)):
        digest = hashlib.sha256(data)
        proxied.put(digest.hexdigest(), data, sha256=digest.hexdigest())
        sent = seaweed_proxy.requests[-1].fields
        assert sent["x-amz-content-sha256"] == digest.hexdigest()
        assert sent["if-none-match"] == "*"
        assert "expect" not in sent
        client = seaweed.client()
        found = client.head_object(
            Bucket=proxied.container, Key=f"{root}/{digest.hexdigest()}", ChecksumMode="ENABLED"
        )
        client.close()
        assert found["ChecksumSHA256"] == base64.b64encode(digest.digest()).decode()


def test_a_slow_upload_is_not_cut_off_by_the_connect_timeout(
    seaweed: Seaweed, seaweed_bucket: str, seaweed_proxy: CountingProxy, root: str
) -> None:
    seaweed_proxy.upload_bytes_per_second = 8 * MIB
    config = s3_config(
        seaweed,
        seaweed_bucket,
        root,
        endpoint_url=seaweed_proxy.url,
        connect_timeout_seconds=0.25,
    )
    with S3Store(config) as store:
        before = time.monotonic()
        assert store.put("slow", bytes(6 * MIB)) is True
        assert time.monotonic() - before > 0.5
    assert seaweed_proxy.counts() == {"PUT": 1}


def test_a_list_is_read_page_by_page(
    proxied: S3Store, seaweed_proxy: CountingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_s3_pages, "_PAGE_BLOBS", 2)
    keys = [f"k{number}" for number in range(5)]
    for key in keys:
        proxied.put(key, b"")

    async def listed() -> list[str]:
        return [blob.key async for blob in proxied.list_async()]

    seaweed_proxy.clear()
    found = proxied.list()
    assert next(found).key == "k0"
    assert seaweed_proxy.counts() == {"GET": 1}
    assert [blob.key for blob in found] == keys[1:]
    assert asyncio.run(listed()) == keys
    assert seaweed_proxy.counts() == {"GET": 6}


def test_tls(seaweed: Seaweed, seaweed_bucket: str, root: str) -> None:
    def store(ca_bundle: str | None) -> S3Store:
        url = seaweed.https_url
        return S3Store(
            s3_config(seaweed, seaweed_bucket, root, endpoint_url=url, ca_bundle=ca_bundle)
        )

    with store(None) as untrusting, pytest.raises(StorageConfigError, match="ca_bundle"):
        untrusting.get("k")
    with store("/no/such.pem") as mistaken, pytest.raises(StorageConfigError, match="not exist"):
        mistaken.get("k")
    with store(str(seaweed.ca_file)) as trusting:
        for size in (0, 10, 2 * MIB):
            assert trusting.put(f"k{size}", bytes(size)) is True
            assert trusting.put(f"k{size}", bytes(size)) is False
            assert trusting.get(f"k{size}") == bytes(size)
        # Over TLS, boto3 sends its checksum after a chunked body; we send ours before the body.
        with contextlib.closing(seaweed.client()) as client:
            found = client.head_object(Bucket=seaweed_bucket, Key=f"{root}/k10")
            assert "ContentEncoding" not in found
        with contextlib.closing(seaweed.client(tls=True)) as client:
            client.put_object(Bucket=seaweed_bucket, Key=f"{root}/trailing", Body=b"their blob")
            found = client.head_object(Bucket=seaweed_bucket, Key=f"{root}/trailing")
            if boto3_sends_checksums():
                assert found["ContentEncoding"] == "aws-chunked"
        assert trusting.get("trailing") == b"their blob"


def test_a_large_blob_goes_over_tls_in_parts(
    seaweed: Seaweed, seaweed_bucket: str, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "MULTIPART_BYTES", 4 * MIB)
    data = random.Random(5).randbytes(6 * MIB)
    config = s3_config(
        seaweed,
        seaweed_bucket,
        root,
        endpoint_url=seaweed.https_url,
        ca_bundle=str(seaweed.ca_file),
    )
    with S3Store(config) as store:
        assert store.put("k", data) is True
        assert store.get("k") == data


def test_settings_of_the_client(seaweed: Seaweed) -> None:
    config = s3_config(
        seaweed,
        "b",
        aws_session_token="token-to-pass-on",
        connections=3,
        connect_timeout_seconds=1.5,
        read_timeout_seconds=2.5,
        addressing_style="virtual",
    )
    client, secrets = _s3_client.connect(config)
    found: Any = client.meta.config
    assert (found.max_pool_connections, found.connect_timeout, found.read_timeout) == (3, 1.5, 2.5)
    assert found.s3["addressing_style"] == "virtual"
    assert "token-to-pass-on" in secrets
    client.close()


def test_encryption_and_storage_class_go_with_a_put(
    seaweed: Seaweed, seaweed_bucket: str, root: str
) -> None:
    sent: list[dict[str, str]] = []

    def note(params: dict[str, str], **_: object) -> None:
        sent.append(dict(params))

    settings: dict[str, Any] = {"sse_kms_key_id": "the-key", "storage_class": "STANDARD_IA"}
    settings["retry_seconds"] = 0
    with S3Store(s3_config(seaweed, seaweed_bucket, root, **settings)) as store:
        client = store._client  # pyright: ignore[reportPrivateUsage]
        client.meta.events.register("provide-client-params.s3.PutObject", note)
        with contextlib.suppress(StorageError):  # SeaweedFS has no KMS here
            store.put("k", b"data")
    assert sent[0]["ServerSideEncryption"] == "aws:kms"
    assert sent[0]["SSEKMSKeyId"] == "the-key"
    assert sent[0]["StorageClass"] == "STANDARD_IA"


def test_an_endpoint_from_the_environment_is_addressed_by_path_too(
    seaweed: Seaweed, seaweed_bucket: str, root: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(
        "AWS_ENDPOINT_URL_S3", seaweed.endpoint_url.replace("127.0.0.1", "localhost")
    )
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", seaweed.access_key)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", seaweed.secret_key)
    with S3Store(BlobStorageConfig(bucket_name=seaweed_bucket, prefix=root)) as store:
        assert store.put("k", b"data") is True
        assert store.get("k") == b"data"


@pytest.mark.parametrize(
    ("endpoint_url", "expected"),
    [
        ("https://s3.eu-west-3.amazonaws.com", True),
        ("https://bucket.vpce-1a2b.s3.eu-west-3.vpce.amazonaws.com", True),
        ("https://s3.cn-north-1.amazonaws.com.cn", True),
        ("http://127.0.0.1:9000", False),
        ("https://minio.example.com/amazonaws.com", False),
        ("https://amazonaws.com.example.net", False),
    ],
)
def test_which_endpoints_are_amazons(endpoint_url: str, expected: bool) -> None:
    assert _s3_client.is_aws(endpoint_url) is expected


@pytest.mark.parametrize(
    "endpoint_url", ["localhost:9000", "ftp://host", "https://", "https://user:pass-word@host"]
)
def test_an_endpoint_that_cannot_be_used_is_refused(endpoint_url: str) -> None:
    with pytest.raises(StorageConfigError, match="endpoint_url") as caught:
        S3Store(BlobStorageConfig(bucket_name="b", endpoint_url=endpoint_url))
    assert "pass-word" not in str(caught.value)


def test_without_boto3_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "boto3", None)
    with (
        S3Store(BlobStorageConfig(bucket_name="b")) as store,
        pytest.raises(MissingExtraError, match=r'pip install "mistral-offload\[s3\]"'),
    ):
        store.get("k")
