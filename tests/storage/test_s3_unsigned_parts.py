"""Parts over TLS: their bytes are not signed, and a CRC32 protects them."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import logging
import random
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mistral_offload.errors import BlobCorruptedError, StorageAccessDeniedError
from mistral_offload.storage import _s3_multipart, s3
from mistral_offload.storage._s3_errors import may_refuse_unsigned
from mistral_offload.storage.s3 import S3Store
from tests.faults.proxy import FaultProxy, Kind
from tests.servers.almost_s3 import AlmostS3, Fault, Request
from tests.servers.certificates import make_certificate
from tests.servers.seaweed import Seaweed
from tests.storage.almost import opened
from tests.storage.backends import s3_config

MIB = 1024 * 1024
DATA = random.Random(6).randbytes(11 * MIB)  # three parts of at most 5 MiB, S3's minimum
SMALL = DATA[: 250 * 1024]  # three parts of at most 100 KiB
UNSIGNED = "UNSIGNED-PAYLOAD"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    return make_certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture
def gateway(seaweed: Seaweed) -> Iterator[FaultProxy]:
    """A proxy that ends TLS, as a load balancer does, and may change what it forwards."""
    proxy = FaultProxy(seaweed.port, (seaweed.ca_file, seaweed.key_file))
    yield proxy
    proxy.stop()


@pytest.fixture
def encrypted(
    seaweed: Seaweed,
    seaweed_bucket: str,
    gateway: FaultProxy,
    root: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[S3Store]:
    monkeypatch.setattr(s3, "MULTIPART_BYTES", 5 * MIB)
    monkeypatch.setattr(_s3_multipart, "_PART_BYTES", 5 * MIB)
    config = s3_config(
        seaweed,
        seaweed_bucket,
        root,
        endpoint_url=gateway.url,
        ca_bundle=str(seaweed.ca_file),
        retry_seconds=1,
    )
    with S3Store(config) as store:
        yield store
    with contextlib.closing(seaweed.client()) as client:
        left = client.list_multipart_uploads(Bucket=seaweed_bucket, Prefix=root)
    assert left.get("Uploads", []) == []


@pytest.fixture
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "MULTIPART_BYTES", 100 * 1024)
    monkeypatch.setattr(_s3_multipart, "_PART_BYTES", 100 * 1024)


def parts_of(gateway: FaultProxy) -> list[dict[str, str]]:
    return [passed.fields for passed in gateway.requests if "partNumber" in passed.path]


def is_unsigned(request: Request) -> bool:
    return request.headers.get("x-amz-content-sha256") == UNSIGNED


def payloads(server: AlmostS3) -> list[str]:
    """Return what the parts that arrived say of their bytes: unsigned or signed."""
    pairs = zip(server.operations, server.headers, strict=True)
    found = (headers for operation, headers in pairs if operation == "part")
    return [
        "unsigned" if headers["x-amz-content-sha256"] == UNSIGNED else "signed" for headers in found
    ]


# As S3 has it


def test_parts_are_not_hashed_again(
    encrypted: S3Store, gateway: FaultProxy, seaweed: Seaweed, root: str
) -> None:
    assert encrypted.put("k", DATA) is True
    parts = parts_of(gateway)
    assert [fields["x-amz-content-sha256"] for fields in parts] == [UNSIGNED] * 3
    assert not any("x-amz-checksum-sha256" in fields for fields in parts)
    pieces = [DATA[start : start + 5 * MIB] for start in range(0, len(DATA), 5 * MIB)]
    assert {fields["x-amz-checksum-crc32"] for fields in parts} == {
        base64.b64encode(zlib.crc32(piece).to_bytes(4, "big")).decode() for piece in pieces
    }
    assert not any("transfer-encoding" in fields for fields in parts)
    assert encrypted.get("k") == DATA
    with contextlib.closing(seaweed.client()) as client:
        found = client.head_object(
            Bucket=encrypted.container, Key=f"{root}/k", ChecksumMode="ENABLED"
        )
    assert found["ChecksumCRC32"].endswith("-3")
    # The digest of a blob in one request is known already, and signs it.
    digest = hashlib.sha256(b"data").hexdigest()
    assert encrypted.put("small", b"data", sha256=digest) is True
    assert gateway.requests[-1].fields["x-amz-content-sha256"] == digest


def test_a_part_that_is_changed_behind_the_end_of_tls_is_refused(
    encrypted: S3Store, gateway: FaultProxy
) -> None:
    gateway.order(Kind.CORRUPT_UPLOAD, "PUT", path="partNumber")
    assert encrypted.put("k", DATA) is True  # it is sent once more
    assert encrypted.get("k") == DATA
    gateway.order(Kind.CORRUPT_UPLOAD, "PUT", path="partNumber", times=99)
    with pytest.raises(BlobCorruptedError, match="other bytes"):
        encrypted.put("k", DATA[::-1], overwrite=True)
    assert all(fields["x-amz-content-sha256"] == UNSIGNED for fields in parts_of(gateway))
    assert encrypted.get("k") == DATA


def test_the_users_order_to_sign_is_obeyed(
    encrypted: S3Store,
    gateway: FaultProxy,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    file = tmp_path / "aws-config"
    file.write_text("[default]\ns3 =\n    payload_signing_enabled = true\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(file))
    assert encrypted.put("k", DATA) is True
    assert all(len(fields["x-amz-content-sha256"]) == 64 for fields in parts_of(gateway))


# Servers that do not have it


def refusing_unsigned(status: int, code: str) -> Fault:
    return lambda request: is_unsigned(request) and request.refuse(status, code)


def refusing_at_the_beginning(request: Request) -> object:
    refused = request.headers.get("x-amz-checksum-algorithm") == "CRC32"
    return refused and request.refuse(400, "InvalidArgument")


def confirming_nothing(request: Request) -> object:
    return is_unsigned(request) and request.respond(200, b"", {"ETag": '"1"'})


@pytest.mark.usefixtures("small_parts")
@pytest.mark.parametrize(
    "fault",
    [
        refusing_unsigned(403, "AccessDenied"),  # a bucket's policy
        refusing_unsigned(400, "InvalidDigest"),
        refusing_at_the_beginning,
        confirming_nothing,
    ],
)
def test_a_server_that_does_not_take_unsigned_parts_gets_signed_ones(
    fault: Fault, certificate: tuple[Path, Path], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "mistral_offload.storage")
    with (
        AlmostS3(fault, certificate=certificate) as server,
        opened(server.url, ca_bundle=str(certificate[0])) as store,
    ):
        assert store.put("k", SMALL) is True
        assert server.objects == {"k": SMALL}
        counts = server.counts()
        assert (counts["begin"], counts["join"]) == (2, 1)
        assert counts["abort"] == (0 if fault is refusing_at_the_beginning else 1)
        server.operations.clear()
        server.headers.clear()
        assert store.put("k2", SMALL) is True
        assert server.counts() == {"head": 1, "begin": 1, "part": 3, "join": 1}
        assert payloads(server) == ["signed"] * 3
        assert all(
            len(headers["x-amz-checksum-sha256"]) == 44
            for operation, headers in zip(server.operations, server.headers, strict=True)
            if operation == "part"
        )
        told = [record.message for record in caplog.records if "CRC32" in record.message]
        assert len(told) == 1
        assert not any(record.levelno >= logging.WARNING for record in caplog.records)


@pytest.mark.usefixtures("small_parts")
def test_checksums_that_are_refused_altogether_leave_the_signature(
    certificate: tuple[Path, Path],
) -> None:
    def refuse(request: Request) -> object:
        names = {name.lower() for name in request.headers}
        refused = names & {"x-amz-checksum-algorithm", "x-amz-checksum-crc32"}
        refused |= names & {"x-amz-checksum-sha256"}
        return refused and request.refuse(400, "InvalidArgument")

    with (
        AlmostS3(refuse, certificate=certificate) as server,
        opened(server.url, ca_bundle=str(certificate[0])) as store,
    ):
        for key in ("k", "k2"):
            assert store.put(key, SMALL) is True
        assert server.objects == {"k": SMALL, "k2": SMALL}
        # boto3 sends these; versions before 1.36 have a Content-MD5 of their own over TLS.
        assert all(
            headers["x-amz-content-sha256"] != UNSIGNED or "content-md5" in headers
            for operation, headers in zip(server.operations, server.headers, strict=True)
            if operation == "part"
        )


@pytest.mark.usefixtures("small_parts")
def test_a_denial_of_every_part_is_an_error_and_teaches_nothing(
    certificate: tuple[Path, Path],
) -> None:
    denies = True
    with (
        AlmostS3(
            lambda request: (
                denies and request.operation == "part" and request.refuse(403, "AccessDenied")
            ),
            certificate=certificate,
        ) as server,
        opened(server.url, ca_bundle=str(certificate[0])) as store,
    ):
        with pytest.raises(StorageAccessDeniedError, match="s3:PutObject"):
            store.put("k", SMALL)
        counts = server.counts()
        assert counts["begin"] == counts["abort"] == 2
        denies = False
        server.operations.clear()
        server.headers.clear()
        assert store.put("k", SMALL) is True
        assert payloads(server) == ["unsigned"] * 3


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (403, "AccessDenied", True),
        (403, "SignatureDoesNotMatch", True),
        (403, "", True),
        (400, "XAmzContentSHA256Mismatch", True),
        (400, "InvalidRequest", True),
        (501, "NotImplemented", True),
        (400, "BadDigest", False),  # the bytes were changed
        (400, "ExpiredToken", False),
        (403, "RequestTimeTooSkewed", False),
        (403, "InvalidAccessKeyId", False),
        (404, "NoSuchUpload", False),
        (503, "SlowDown", False),
    ],
)
def test_refusals_that_may_be_about_a_missing_signature(
    status: int, code: str, expected: bool
) -> None:
    from botocore.exceptions import ClientError

    response: Any = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    assert may_refuse_unsigned(ClientError(response, "UploadPart")) is expected
