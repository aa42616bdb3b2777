"""Servers that refuse parts of S3: what they refuse is left out, once and for all."""

from __future__ import annotations

import hashlib
import logging
from typing import Any

import pytest

from mistral_offload.errors import (
    BlobCorruptedError,
    StorageAccessDeniedError,
    StorageConfigError,
    StorageError,
)
from mistral_offload.storage import _s3_multipart, s3
from mistral_offload.storage.s3 import S3Store
from tests.servers.almost_s3 import AlmostS3, Fault, Request
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed
from tests.storage.almost import opened
from tests.storage.backends import s3_config

MIB = 1024 * 1024
DATA = bytes(range(256)) * 4 * 1024 * 12  # three parts of 5 MiB
KEY = "temporal-payload/n/e/sha256:" + hashlib.sha256(DATA).hexdigest()
REFUSALS = [(400, "InvalidArgument"), (501, "NotImplemented"), (400, ""), (422, "UnknownHeader")]


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "MULTIPART_BYTES", 5 * MIB)
    monkeypatch.setattr(_s3_multipart, "_PART_BYTES", 5 * MIB)


def refusing(status: int, code: str, *headers: str) -> Fault:
    """Refuse every request that has one of the headers."""

    def respond(request: Request) -> object:
        refused = any(request.headers.get(name) is not None for name in headers)
        return refused and request.refuse(status, code)

    return respond


def refusing_at(operation: str, status: int, code: str) -> Fault:
    return lambda request: request.operation == operation and request.refuse(status, code)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    return [record.message for record in caplog.records if record.levelno >= logging.WARNING]


@pytest.mark.parametrize(("status", "code"), REFUSALS)
def test_a_refused_checksum_is_left_out(
    status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    fault = refusing(status, code, "x-amz-checksum-sha256")
    with AlmostS3(fault) as server, opened(server.url) as store:
        assert store.put("k", b"data") is True
        assert server.objects == {"k": b"data"}
        (warning,) = warnings(caplog)
        assert "refuses checksum headers" in warning
        server.operations.clear()
        server.headers.clear()
        assert store.put("k", b"other") is False
        assert store.put("k2", b"data") is True
        assert store.put("k2", b"more", overwrite=True) is True
        assert server.operations == ["put"] * 3  # found out once, and conditions are still sent
        assert [found.get("if-none-match") for found in server.headers] == ["*", "*", None]
        digest = hashlib.sha256(b"more").hexdigest()
        assert server.headers[-1]["x-amz-content-sha256"] == digest  # it is signed anyway
        assert len(warnings(caplog)) == 1


@pytest.mark.parametrize("overwrite", [False, True])
@pytest.mark.parametrize(
    "header", ["x-amz-checksum-algorithm", "x-amz-checksum-sha256", "x-amz-sdk-checksum-algorithm"]
)
@pytest.mark.parametrize(("status", "code"), REFUSALS[:2])
def test_a_refused_checksum_is_left_out_of_large_blobs(
    status: int, code: str, header: str, overwrite: bool, caplog: pytest.LogCaptureFixture
) -> None:
    with AlmostS3(refusing(status, code, header)) as server, opened(server.url) as store:
        assert store.put(KEY, DATA, overwrite=overwrite) is True
        assert server.objects == {KEY: DATA}
        assert len(warnings(caplog)) <= 1
        assert store.put("another", DATA) is True
        assert len(warnings(caplog)) <= 1


def test_checksums_refused_at_the_end_are_left_out(caplog: pytest.LogCaptureFixture) -> None:
    def respond(request: Request) -> object:
        named = request.operation == "join" and b"ChecksumSHA256" in request.body
        return named and request.refuse(400, "MalformedXML")

    with AlmostS3(respond) as server, opened(server.url) as store:
        assert store.put(KEY, DATA) is True
        assert server.objects == {KEY: DATA}
        assert len(warnings(caplog)) == 1


@pytest.mark.parametrize(("status", "code"), [*REFUSALS, (405, "")])
def test_a_refused_condition_is_replaced_by_a_look(
    status: int, code: str, caplog: pytest.LogCaptureFixture
) -> None:
    with AlmostS3(refusing(status, code, "If-None-Match")) as server, opened(server.url) as store:
        assert store.put("k", b"data") is True
        (warning,) = warnings(caplog)
        assert "does not support conditional writes" in warning
        server.operations.clear()
        assert store.put("k", b"other") is False
        assert store.put("k2", b"data") is True
        assert server.operations == ["head", "head", "put"]
        assert all("x-amz-checksum-sha256" in found for found in server.headers[-1:])
        assert server.objects == {"k": b"data", "k2": b"data"}


def test_both_may_be_refused(caplog: pytest.LogCaptureFixture) -> None:
    fault = refusing(501, "NotImplemented", "If-None-Match", "x-amz-checksum-sha256")
    with AlmostS3(fault) as server, opened(server.url) as store:
        assert store.put("k", b"data") is True
        assert len(warnings(caplog)) == 2
        server.operations.clear()
        assert store.put("k2", b"data") is True
        assert server.operations == ["head", "put"]


def test_a_refusal_of_everything_is_an_error_and_teaches_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    refused = True
    with (
        AlmostS3(lambda request: refused and request.refuse(400, "InvalidArgument")) as server,
        opened(server.url) as store,
    ):
        with pytest.raises(StorageError, match="InvalidArgument, HTTP 400"):
            store.put("k", b"data", overwrite=True)
        refused = False
        assert store.put("k", b"data") is True
        assert server.headers[-1]["if-none-match"] == "*"
        assert "x-amz-checksum-sha256" in server.headers[-1]
        assert not warnings(caplog)


@pytest.mark.parametrize("code", ["BadDigest", "ExpiredToken", "EntityTooLarge", "InvalidToken"])
def test_a_refusal_with_a_meaning_is_not_tried_otherwise(code: str) -> None:
    with (
        AlmostS3(lambda request: request.refuse(400, code)) as server,
        opened(server.url) as store,
    ):
        with pytest.raises(StorageError):
            store.put("k", b"data")
        assert set(server.operations) == {"put"}
        assert len(server.operations) <= 2  # a damaged body is sent twice


def test_without_checksums_a_wrong_digest_is_still_refused() -> None:
    fault = refusing(400, "InvalidArgument", "x-amz-checksum-sha256")
    with (
        AlmostS3(fault) as server,
        opened(server.url) as store,
        pytest.raises(BlobCorruptedError, match="sha256 argument was wrong"),
    ):
        store.put("k", b"data", sha256="0" * 64)
    assert server.objects == {}


@pytest.mark.parametrize(("status", "code"), [(304, ""), (409, "FileAlreadyExists"), (412, "")])
def test_other_words_for_a_key_that_is_taken(status: int, code: str) -> None:
    def respond(request: Request) -> object:
        taken = request.headers.get("If-None-Match") and request.key in request.server.objects
        return taken and request.refuse(status, code)

    with AlmostS3(respond) as server, opened(server.url) as store:
        assert store.put("k", b"data") is True
        assert store.put("k", b"other") is False
        assert server.objects == {"k": b"data"}


def test_a_condition_that_is_not_met_although_nothing_is_there() -> None:
    """A reference must not be sent to nothing. (A 412 to a small put is S3's own word.)"""
    with AlmostS3(refusing(304, "", "If-None-Match")) as server, opened(server.url) as store:
        assert store.put("k", b"data") is True
        assert store.put(KEY, DATA) is True
        assert server.objects == {"k": b"data", KEY: DATA}
    page = {"Content-Type": "text/html"}

    def respond(request: Request) -> object:
        conditional = request.headers.get("If-None-Match")
        return conditional and request.respond(412, "<html>no</html>", page)

    with AlmostS3(respond) as server, opened(server.url) as store:
        assert store.put("k", b"data") is True
        assert server.objects == {"k": b"data"}


def test_a_412_to_the_end_of_an_upload_is_looked_into_once() -> None:
    fault = refusing(412, "PreconditionFailed", "If-None-Match")
    with AlmostS3(fault) as server, opened(server.url) as store:
        assert store.put(KEY, DATA) is True
        assert server.objects == {KEY: DATA}
        assert server.counts() == {"head": 2, "begin": 1, "part": 3, "join": 2}


def test_a_412_to_every_end_of_an_upload_is_an_error() -> None:
    fault = refusing_at("join", 412, "PreconditionFailed")
    with AlmostS3(fault) as server, opened(server.url) as store:
        with pytest.raises(StorageError, match="PreconditionFailed, HTTP 412"):
            store.put(KEY, DATA)
        assert server.objects == {}
        assert server.counts()["abort"] == 1


def test_a_412_to_the_end_of_an_upload_of_what_is_there() -> None:
    def respond(request: Request) -> object:
        if request.operation == "join":  # another writer was faster
            request.server.objects[request.key] = DATA
        return False

    with AlmostS3(respond) as server, opened(server.url) as store:
        assert store.put(KEY, DATA) is False
        assert server.counts() == {"head": 2, "begin": 1, "part": 3, "join": 1, "abort": 1}


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (405, ""),
        (405, "MethodNotAllowed"),
        (400, "InvalidArgument"),
        (400, "InvalidRequest"),
        (400, "NotImplemented"),
        (400, "MalformedXML"),
        (404, ""),
        (404, "NoSuchKey"),
        (411, "MissingContentLength"),
        (415, ""),
        (501, "NotImplemented"),
    ],
)
def test_bulk_deletes_in_other_words(
    seaweed: Seaweed,
    seaweed_bucket: str,
    seaweed_proxy: CountingProxy,
    root: str,
    status: int,
    code: str,
) -> None:
    body = f"<Error><Code>{code}</Code></Error>".encode() if code else b""
    seaweed_proxy.answer("POST", status, body, times=9)
    config = s3_config(seaweed, seaweed_bucket, root, endpoint_url=seaweed_proxy.url)
    with S3Store(config) as store:
        for number in range(3):
            store.put(f"k{number}", b"data")
        assert store.delete_many([f"k{number}" for number in range(4)]) == {}
        assert list(store.list()) == []


def errors_of(*parts: tuple[str, str]) -> str:
    entries = "".join(
        f"<Error><Key>{key}</Key><Code>{code}</Code></Error>" if key else
        f"<Error><Code>{code}</Code></Error>"
        for key, code in parts
    )  # fmt: skip
    return f"<DeleteResult>{entries}</DeleteResult>"


@pytest.mark.parametrize(
    "body",
    [
        errors_of(("k0", "NotImplemented"), ("k1", "MethodNotAllowed")),
        errors_of(("", "InternalError")),  # it does not say which
        errors_of(("other", "AccessDenied")),
    ],
)
def test_keys_that_a_bulk_delete_leaves_are_deleted_one_by_one(body: str) -> None:
    with (
        AlmostS3(
            lambda request: request.operation == "delete_many" and request.respond(200, body)
        ) as server,
        opened(server.url) as store,
    ):
        server.objects.update({"k0": b"x", "k1": b"x"})
        assert store.delete_many(["k0", "k1"]) == {}
        assert server.objects == {}


def test_a_bulk_delete_that_is_forbidden_fails() -> None:
    with (
        AlmostS3(refusing_at("delete_many", 403, "AccessDenied")) as server,
        opened(server.url) as store,
    ):
        failures = store.delete_many(["k0"])
        assert [type(error) for error in failures.values()] == [StorageAccessDeniedError]
        assert server.counts() == {"delete_many": 1}


def test_a_bulk_delete_has_one_checksum_that_every_server_knows() -> None:
    fault = refusing(400, "InvalidArgument", "x-amz-checksum-crc32", "x-amz-sdk-checksum-algorithm")
    with AlmostS3(fault) as server, opened(server.url) as store:
        server.objects["k"] = b"x"
        assert store.delete_many(["k"]) == {}
        assert server.counts() == {"delete_many": 1}
        assert "content-md5" in server.headers[0]


def test_a_missing_bucket_stops_a_bulk_delete() -> None:
    with (
        AlmostS3(lambda request: request.refuse(404, "NoSuchBucket")) as server,
        opened(server.url) as store,
    ):
        assert set(store.delete_many(["k0", "k1"])) == {"k0", "k1"}
        assert server.counts() == {"delete_many": 1}


def test_a_server_that_refuses_headers_in_an_error_page_is_no_store() -> None:
    page: dict[str, Any] = {"headers": {"Content-Type": "text/html"}}
    with (
        AlmostS3(lambda request: request.respond(400, "<html>no</html>", **page)) as server,
        opened(server.url) as store,
        pytest.raises(StorageConfigError, match="not an S3 server"),
    ):
        store.put("k", b"data", overwrite=True)
    assert server.objects == {}
