"""Puts, gets and parts as signed requests: as boto3 makes them, or left to boto3."""

from __future__ import annotations

import base64
import gzip
import hashlib
import logging
import sys
from collections.abc import Callable, Iterator
from datetime import datetime, timezone
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
import time_machine

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import (
    BlobNotFoundError,
    StorageConfigError,
    StorageUnavailableError,
)
from mistral_offload.storage import _s3_client, s3
from mistral_offload.storage.s3 import S3Store
from tests.servers.process import free_ports
from tests.servers.proxy import CountingProxy
from tests.servers.scripted import ScriptedServer
from tests.servers.seaweed import Seaweed
from tests.storage.backends import s3_config

if TYPE_CHECKING:
    from botocore.awsrequest import AWSPreparedRequest, AWSResponse

    from mistral_offload.storage._s3_templates import RequestTemplate

# With characters that are percent-encoded, and some that are not.
KEYS = ("k", "temporal-payload/ns/ü/sha256:00ff", "a b+c%2F~._-!*'()@&=$,;", "//x/../y/./z/", "?#")
MIB = 1024 * 1024


@pytest.fixture
def proxied(
    seaweed: Seaweed, seaweed_bucket: str, seaweed_proxy: CountingProxy, root: str
) -> Iterator[S3Store]:
    with S3Store(s3_config(seaweed, seaweed_bucket, root, endpoint_url=seaweed_proxy.url)) as store:
        yield store


@pytest.fixture
def hooked(
    monkeypatch: pytest.MonkeyPatch, proxied: S3Store
) -> Callable[[str, Callable[..., object]], S3Store]:
    """Register a hook with the client of a store, as a library does that changes botocore."""
    connect = _s3_client.connect

    def hook(event: str, function: Callable[..., object]) -> S3Store:
        def connected(config: BlobStorageConfig) -> _s3_client.Connection:
            connection = connect(config)
            connection.client.meta.events.register(event, function)  # type: ignore[arg-type]
            return connection

        monkeypatch.setattr(s3, "connect", connected)
        return proxied

    return hook


def calls_of_boto3(store: S3Store) -> list[str]:
    """Return a list that is filled with the operations that boto3 performs from now on."""
    calls: list[str] = []

    def note(model: Any, **_: object) -> None:
        calls.append(model.name)

    client = store._client  # pyright: ignore[reportPrivateUsage]
    client.meta.events.register("before-call.s3", note)  # type: ignore[arg-type]
    return calls


def template_of(store: S3Store, operation: str) -> RequestTemplate | None:
    return store._requests._template(operation, "k")  # pyright: ignore[reportPrivateUsage]


# boto3 is left out


def test_boto3_prepares_a_request_once(
    proxied: S3Store, seaweed_proxy: CountingProxy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "MULTIPART_BYTES", 5 * MIB)
    data = bytes(6 * MIB)
    proxied.put("k", b"first")
    proxied.put("parts", data)
    calls = calls_of_boto3(proxied)
    seaweed_proxy.clear()
    for number in range(3):
        assert proxied.put(f"k{number}", b"data") is True
        assert proxied.put(f"k{number}", b"data") is False
        assert proxied.put(f"k{number}", b"new data", overwrite=True) is True
        assert proxied.get(f"k{number}") == b"new data"
    assert calls == []
    assert proxied.put("parts", data, overwrite=True) is True
    assert calls == ["CreateMultipartUpload", "CompleteMultipartUpload"]
    assert proxied.get("parts") == data
    assert seaweed_proxy.counts() == {"PUT": 10, "GET": 4, "POST": 2}


def test_nothing_is_sent_to_learn(proxied: S3Store, seaweed_proxy: CountingProxy) -> None:
    with pytest.raises(BlobNotFoundError):
        proxied.get("k")
    assert [passed.method for passed in seaweed_proxy.requests] == ["GET"]
    proxied.put("k", b"data")
    assert [passed.method for passed in seaweed_proxy.requests] == ["GET", "PUT"]


@pytest.mark.parametrize("key", [*KEYS[:3], "?#", "50%", "a\tb"])
def test_a_key_is_encoded_as_signed(
    proxied: S3Store, seaweed: Seaweed, root: str, key: str
) -> None:
    data = key.encode()
    assert proxied.put(key, data) is True
    assert proxied.get(key) == data
    client = seaweed.client()
    found = client.get_object(Bucket=proxied.container, Key=f"{root}/{key}")
    assert found["Body"].read() == data
    client.close()


def test_what_is_stored_compressed_is_returned_as_stored(
    proxied: S3Store, seaweed: Seaweed, root: str
) -> None:
    data = gzip.compress(b"data" * 1000)
    client = seaweed.client()
    client.put_object(Bucket=proxied.container, Key=f"{root}/k", Body=data, ContentEncoding="gzip")
    client.close()
    assert proxied.get("k") == data


# As boto3 would

CONFIGURATIONS: dict[str, dict[str, Any]] = {
    "region": {"region_name": "eu-west-3"},
    "no region": {"region_name": "aws-global"},
    "china": {"region_name": "cn-north-1"},
    "path": {"region_name": "eu-west-3", "addressing_style": "path"},
    "dots": {"region_name": "eu-west-3", "bucket_name": "a.bucket.with.dots"},
    "endpoint": {"endpoint_url": "http://localhost:9000", "region_name": "eu-west-3"},
    "endpoint, virtual": {
        "endpoint_url": "https://minio.example.com",
        "addressing_style": "virtual",
        "region_name": "eu-west-3",
    },
    "endpoint with a path": {"endpoint_url": "https://h.example.com/s3/", "region_name": "r-1"},
    "IPv6": {"endpoint_url": "http://[::1]:9000", "region_name": "r-1"},
    "usual port": {"endpoint_url": "https://h.example.com:443", "region_name": "r-1"},
    "KMS": {"region_name": "eu-west-3", "sse_kms_key_id": "the-key"},
    "storage class": {"region_name": "eu-west-3", "storage_class": "STANDARD_IA"},
    "session": {"region_name": "eu-west-3", "aws_session_token": "the-token"},
    "access point": {
        "region_name": "eu-west-3",
        "bucket_name": "arn:aws:s3:eu-west-3:123456789012:accesspoint/the-point",
    },
}
OF_BOTO3 = {
    "accelerate": "s3 =\n    use_accelerate_endpoint = true\n",
    "dual stack": "use_dualstack_endpoint = true\n",
    "FIPS": "use_fips_endpoint = true\n",
}


@pytest.fixture
def profile(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """Write AWS's config file, and make it the only one."""

    def write(lines: str) -> None:
        file = tmp_path / "aws-config"
        file.write_text(f"[default]\n{lines}")
        monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
        monkeypatch.setenv("AWS_SHARED_CREDENTIALS_FILE", str(tmp_path / "none"))

    return write


def configured(**settings: Any) -> S3Store:
    keys = {"aws_access_key_id": "AKID", "aws_secret_access_key": "secret"}
    return S3Store(BlobStorageConfig(**{"bucket_name": "the-bucket", **keys, **settings}))


def prepared_by_boto3(store: S3Store, call: str, **request: Any) -> AWSPreparedRequest:
    """Return a request of the store's client, which is not sent."""
    from botocore.exceptions import HTTPClientError

    found: list[AWSPreparedRequest] = []

    def take(request: AWSPreparedRequest) -> AWSResponse:
        found.append(request)
        raise HTTPClientError(error="not sent")

    client = store._client  # pyright: ignore[reportPrivateUsage]
    connections = store._requests._connections  # pyright: ignore[reportPrivateUsage]
    assert connections is not None
    with connections.responding(take), pytest.raises(HTTPClientError):
        getattr(client, call)(Bucket=store.container, **request)
    return found[0]


def compare_with_boto3(store: S3Store) -> None:
    from botocore.auth import S3SigV4Auth
    from botocore.awsrequest import AWSRequest
    from botocore.credentials import Credentials

    digest = base64.b64encode(hashlib.sha256(b"data").digest()).decode()
    own = {"x-amz-checksum-sha256": digest}
    put = {"Body": b"data", "ChecksumSHA256": digest}
    settings = store._object_settings()  # pyright: ignore[reportPrivateUsage]
    for key in KEYS:
        for operation, call, request, headers in (
            ("GetObject", "get_object", {}, {}),
            ("PutObject", "put_object", put | settings, own),
        ):
            template = template_of(store, operation)
            assert template is not None
            theirs = prepared_by_boto3(store, call, Key=key, **request)
            with time_machine.travel(datetime(2026, 5, 4, tzinfo=timezone.utc), tick=False):
                url, signed = template.sign(key, headers)
                ours = {name.lower(): value.decode() for name, value in signed.items()}
                assert url == theirs.url
                expected = {
                    name.lower(): value.decode() if isinstance(value, bytes) else value
                    for name, value in theirs.headers.items()
                }
                varying = {"authorization", "x-amz-date", "host", "content-length"}
                varying |= {"amz-sdk-invocation-id", "amz-sdk-request"}
                for name in varying:
                    expected.pop(name, None)
                assert {name: ours[name] for name in ours if name not in varying} == expected
                # The signature that botocore computes of the same, when it finds the host itself.
                repeated = AWSRequest(template.method, url, expected, request.get("Body"))
                credentials = Credentials("AKID", "secret", ours.get("x-amz-security-token"))
                S3SigV4Auth(credentials, "s3", template.region).add_auth(repeated)
                assert ours["authorization"] == repeated.headers["Authorization"]
                assert ours["host"] == urlsplit(url).netloc.removesuffix(":443")


@pytest.mark.parametrize("name", CONFIGURATIONS)
def test_requests_are_those_of_boto3(name: str) -> None:
    with configured(**CONFIGURATIONS[name]) as store:
        compare_with_boto3(store)


@pytest.mark.parametrize("name", OF_BOTO3)
def test_requests_follow_the_settings_of_boto3(name: str, profile: Callable[[str], None]) -> None:
    profile(OF_BOTO3[name])
    with configured(region_name="eu-west-3") as store:
        compare_with_boto3(store)


@pytest.mark.parametrize(
    ("bucket", "lines"),
    [
        ("the-bucket--use1-az4--x-s3", ""),  # S3 Express: signed with the key of a session
        ("the-bucket", "s3 =\n    payload_signing_enabled = false\n"),
    ],
)
def test_unusual_signatures_are_left_to_boto3(
    bucket: str,
    lines: str,
    profile: Callable[[str], None],
    caplog: pytest.LogCaptureFixture,
) -> None:
    profile(lines)
    caplog.set_level(logging.DEBUG, "mistral_offload.storage")
    with configured(bucket_name=bucket, region_name="us-east-1") as store:
        assert template_of(store, "GetObject") is None
        assert f"all requests of s3 bucket {bucket}: left to boto3" in caplog.text


# Hooks


def test_a_hook_that_answers_requests_answers_all_of_them(
    hooked: Callable[[str, Callable[..., object]], S3Store],
    seaweed_proxy: CountingProxy,
    caplog: pytest.LogCaptureFixture,
) -> None:
    from mistral_offload.storage._s3_connections import empty_response

    answered: list[str] = []

    def simulate(request: AWSPreparedRequest, **_: object) -> AWSResponse:
        answered.append(request.method)
        return empty_response(request.url, {"ETag": '"e"'})

    caplog.set_level(logging.DEBUG, "mistral_offload.storage")
    store = hooked("before-send", simulate)
    assert store.put("k", b"data") is True
    assert store.get("k") == b""
    assert answered == ["GET", "PUT", "GET"]  # the first one only looks for such a hook
    assert seaweed_proxy.requests == []
    assert "left to boto3: a hook responds to its requests" in caplog.text


def test_a_hook_that_changes_all_requests_alike_is_learned(
    hooked: Callable[[str, Callable[..., object]], S3Store], seaweed_proxy: CountingProxy
) -> None:
    def tag(params: dict[str, Any], **_: object) -> None:
        params["headers"]["x-amz-meta-team"] = "blue"

    store = hooked("before-call.s3.PutObject", tag)
    assert store.put("k", b"data") is True
    assert template_of(store, "PutObject") is not None
    assert seaweed_proxy.requests[-1].fields["x-amz-meta-team"] == "blue"


def test_a_hook_that_changes_each_request_makes_boto3_send_them(
    hooked: Callable[[str, Callable[..., object]], S3Store], seaweed_proxy: CountingProxy
) -> None:
    def tag(params: dict[str, Any], **_: object) -> None:
        params["headers"]["x-amz-meta-path"] = params["url_path"][-3:]

    store = hooked("before-call.s3.PutObject", tag)
    assert store.put("k-1", b"data") is True
    assert store.put("k-1", b"data") is False
    assert template_of(store, "PutObject") is None
    assert template_of(store, "GetObject") is not None
    assert [passed.fields["x-amz-meta-path"] for passed in seaweed_proxy.requests] == ["k-1"] * 2
    assert store.get("k-1") == b"data"
    assert seaweed_proxy.connections == 1


# Responses that boto3 acts on


@pytest.mark.parametrize("operation", ["put", "get"])
def test_a_bucket_in_another_region_is_followed(
    proxied: S3Store, seaweed_proxy: CountingProxy, operation: str
) -> None:
    def perform(key: str) -> None:
        if operation == "put":
            proxied.put(key, b"data")
        else:
            assert proxied.get("k") == b"data"

    proxied.put("k", b"data")
    method = operation.upper()
    body = (
        b"<Error><Code>AuthorizationHeaderMalformed</Code><Message>m</Message>"
        b"<Region>eu-north-9</Region></Error>"
    )
    seaweed_proxy.clear()
    seaweed_proxy.answer(method, 400, body, fields={"x-amz-bucket-region": "eu-north-9"})
    perform("k1")
    assert [(passed.method, passed.status) for passed in seaweed_proxy.requests] == [
        (method, 400),
        (method, 200),
    ]
    calls = calls_of_boto3(proxied)
    perform("k2")
    perform("k3")
    regions = [passed.fields["authorization"].split("/")[2] for passed in seaweed_proxy.requests]
    assert regions == ["eu-west-3", *["eu-north-9"] * 3]
    assert len(calls) == 2  # both of them only prepared


def test_an_error_is_that_of_boto3(proxied: S3Store, seaweed_proxy: CountingProxy) -> None:
    from botocore.exceptions import ClientError

    seaweed_proxy.answer(
        "GET",
        403,
        b"<Error><Code>InvalidObjectState</Code><Message>m</Message>"
        b"<StorageClass>GLACIER</StorageClass><RequestId>R1</RequestId></Error>",
        fields={"x-amz-request-id": "R1", "x-amz-id-2": "H2"},
    )
    with pytest.raises(Exception, match="archived") as caught:
        proxied.get("k")
    cause = caught.value.__cause__
    assert isinstance(cause, ClientError)
    assert type(cause).__name__ == "InvalidObjectState"
    assert cause.response["StorageClass"] == "GLACIER"  # type: ignore[typeddict-item]
    assert cause.response["ResponseMetadata"]["RequestId"] == "R1"
    assert cause.response["ResponseMetadata"]["HostId"] == "H2"


# Credentials, proxies, certificates


def test_credentials_are_renewed(
    seaweed_proxy: CountingProxy,
    profile: Callable[[str], None],
    tmp_path: Path,
) -> None:
    """A process gives credentials that expire soon, so boto3 calls it for each request."""
    script = tmp_path / "credentials.py"
    script.write_text(
        "import datetime, json, pathlib\n"
        f"file = pathlib.Path({str(tmp_path / 'count')!r})\n"
        "number = len(file.read_text()) if file.exists() else 0\n"
        "file.write_text('x' * (number + 1))\n"
        "now = datetime.datetime.now(datetime.timezone.utc)\n"
        "print(json.dumps({'Version': 1, 'AccessKeyId': 'AKID', 'SecretAccessKey': 'secret',\n"
        "    'SessionToken': f'token-{number}',\n"
        "    'Expiration': (now + datetime.timedelta(seconds=60)).isoformat()}))\n"
    )
    profile(f"credential_process = {sys.executable} {script}\n")
    seaweed_proxy.answer("PUT", 200, times=3, fields={"ETag": '"e"'})
    config = BlobStorageConfig(
        bucket_name="b", endpoint_url=seaweed_proxy.url, region_name="eu-west-3"
    )
    with S3Store(config) as store:
        for number in range(3):
            store.put(f"k{number}", b"data")
    tokens = [passed.fields["x-amz-security-token"] for passed in seaweed_proxy.requests]
    assert len(set(tokens)) == 3


def test_a_proxy_with_a_password(monkeypatch: pytest.MonkeyPatch) -> None:
    response = (
        b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n"
        b"Last-Modified: Mon, 04 May 2026 00:00:00 GMT\r\n\r\ndata"
    )
    login = base64.b64encode(b"user:pass-word").decode()
    with ScriptedServer(response) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.url.replace("//", "//user:pass-word@"))
        monkeypatch.setenv("NO_PROXY", "")
        with configured(endpoint_url="http://s3.example.com", region_name="r-1") as store:
            assert store.fetch("a/b c").data == b"data"
            (head, _) = proxy.requests[0]
            assert head.first == "GET http://s3.example.com/the-bucket/a/b%20c HTTP/1.1"
            assert head.fields["proxy-authorization"] == f"Basic {login}"
            assert head.fields["host"] == "s3.example.com"
        monkeypatch.setenv("NO_PROXY", "s3.example.com")
        with (
            configured(endpoint_url="http://s3.example.com", retry_seconds=0) as store,
            pytest.raises(StorageUnavailableError),
        ):
            store.get("k")
        assert len(proxy.requests) == 1


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_cannot_be_reached_is_named_without_its_password(
    monkeypatch: pytest.MonkeyPatch, scheme: str
) -> None:
    (port,) = free_ports(1)
    monkeypatch.setenv(f"{scheme.upper()}_PROXY", f"http://user:pass-word@127.0.0.1:{port}")
    monkeypatch.setenv("NO_PROXY", "")
    with configured(endpoint_url=f"{scheme}://s3.example.com", retry_seconds=0) as store:
        with pytest.raises(StorageUnavailableError) as caught:
            store.put("k", b"data")
        assert type(caught.value.__cause__).__name__ == "ProxyConnectionError"
        assert "pass-word" not in f"{caught.value} {caught.value.__cause__} {store._requests!r}"


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE"])
def test_certificates_of_the_environment(
    seaweed: Seaweed,
    seaweed_bucket: str,
    root: str,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    variable: str,
) -> None:
    monkeypatch.delenv("AWS_CA_BUNDLE", raising=False)
    monkeypatch.setenv(variable, str(seaweed.ca_file))
    config = s3_config(seaweed, seaweed_bucket, root, endpoint_url=seaweed.https_url)
    with S3Store(config) as store:
        assert store.put("k", b"data") is True
        assert store.get("k") == b"data"
        assert store.stat("k").size == 4
    monkeypatch.setenv(variable, str(tmp_path / "none.pem"))
    with S3Store(config) as store, pytest.raises(StorageConfigError, match="certificates in"):
        store.get("k")
