"""Servers that are not S3, or leave out members of their responses: never taken for a store."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone

import pytest

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import (
    MistralOffloadError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.lifecycle.factory import open_lifecycle
from mistral_offload.storage import _s3_multipart, s3
from mistral_offload.storage.s3 import S3Store
from tests.servers.almost_s3 import AlmostS3, Fault, Request
from tests.storage.almost import opened

MIB = 1024 * 1024
LARGE = b"x" * 11 * MIB

PLAIN = "<html><body>Sign in</body></html>"
MODERN = '<!DOCTYPE html><html lang=en><head><meta charset="utf-8"><br><title>Console</title>'

OPERATIONS: dict[str, Callable[[S3Store], object]] = {
    "put": lambda store: store.put("k", b"x"),
    "overwrite": lambda store: store.put("k", b"x", overwrite=True),
    "large put": lambda store: store.put("k", LARGE),
    "large overwrite": lambda store: store.put("k", LARGE, overwrite=True),
    "get": lambda store: store.get("k"),
    "stat": lambda store: store.stat("k"),
    "renew": lambda store: store.renew("k"),
    "renew if old": lambda store: store.renew(
        "k", before=datetime(2100, 1, 1, tzinfo=timezone.utc)
    ),
    "list": lambda store: list(store.list()),
    "delete": lambda store: store.delete("k"),
    "delete_many": lambda store: store.delete_many(["k"]),
}


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(s3, "MULTIPART_BYTES", 5 * MIB)
    monkeypatch.setattr(_s3_multipart, "_PART_BYTES", 5 * MIB)


def page(status: int, text: str, kind: str = "text/html", **headers: str) -> Fault:
    return lambda request: request.respond(status, text, {"Content-Type": kind, **headers})


PAGES = {
    "a page": page(200, PLAIN),
    "a modern page": page(200, MODERN, "text/html; charset=utf-8"),
    "a page with an ETag": page(200, MODERN, ETag='"1"', **{"Last-Modified": "x"}),
    "a health check": page(200, "OK", "text/plain"),
    "an API": page(200, '{"message": "hello"}', "application/json"),
}


DESCRIBING = ("stat", "renew", "renew if old", "large put")
"""Operations that begin with a HEAD, whose response has no content."""


def failures(fault: Fault) -> dict[str, MistralOffloadError]:
    """Return the error of every operation with a server that has a fault."""
    found: dict[str, MistralOffloadError] = {}
    with AlmostS3(fault) as server, opened(server.url) as store:
        for name, operation in OPERATIONS.items():
            with pytest.raises(MistralOffloadError) as failed:
                operation(store)
            found[name] = failed.value
        assert server.objects == {}
    return found


@pytest.mark.parametrize("kind", PAGES)
def test_a_page_is_no_store(kind: str) -> None:
    for operation, failure in failures(PAGES[kind]).items():
        may_be_incomplete = kind in ("a health check", "an API") and operation in DESCRIBING
        expected = StorageError if may_be_incomplete else StorageConfigError
        assert type(failure) is expected, operation
        assert "http://127.0.0.1" in str(failure)


def test_an_empty_success_is_no_store() -> None:
    for operation, failure in failures(lambda request: request.respond(200)).items():
        expected = StorageError if operation in DESCRIBING else StorageConfigError
        assert type(failure) is expected, operation


@pytest.mark.parametrize("status", [401, 403, 404])
def test_an_error_page_is_no_store(status: int) -> None:
    for operation, failure in failures(page(status, MODERN)).items():
        if operation in DESCRIBING[:3]:
            continue
        assert type(failure) is StorageConfigError, operation
        assert f"web page, HTTP {status}" in str(failure)
        assert "fix endpoint_url" in str(failure)


def test_an_error_page_of_a_busy_gateway_is_transient() -> None:
    with (
        AlmostS3(page(503, MODERN)) as server,
        opened(server.url) as store,
        pytest.raises(StorageUnavailableError),
    ):
        store.get("k")


@pytest.mark.parametrize("operation", ["begin", "part", "join"])
@pytest.mark.parametrize("kind", ["a page", "nothing"])
def test_a_large_put_in_which_one_response_is_none_of_s3(operation: str, kind: str) -> None:
    body, headers = (PLAIN, {"Content-Type": "text/html"}) if kind == "a page" else ("", {})

    def respond(request: Request) -> object:
        return request.operation == operation and request.respond(200, body, headers)

    with (
        AlmostS3(respond) as server,
        opened(server.url) as store,
        pytest.raises((StorageConfigError, StorageError)),
    ):
        store.put("k", LARGE)
    assert server.objects == {}


def test_a_page_is_no_lifecycle_configuration() -> None:
    with AlmostS3(PAGES["a page"]) as server:
        config = BlobStorageConfig(
            bucket_name="b",
            endpoint_url=server.url,
            region_name="r",
            aws_access_key_id="AK",
            aws_secret_access_key="secret",
        )
        with pytest.raises(StorageConfigError, match="not an S3 server"):
            open_lifecycle(config).read()


def without(operation: str, body: str = "", **headers: str) -> Fault:
    return lambda request: request.operation == operation and request.respond(200, body, headers)


def entry(*members: str) -> str:
    return f"<ListBucketResult><Contents>{''.join(members)}</Contents></ListBucketResult>"


SIZE, NAME = "<Size>1</Size>", "<Key>k</Key>"
TIME = "<LastModified>2026-05-04T10:00:00.000Z</LastModified>"


@pytest.mark.parametrize(
    ("operation", "fault", "missing"),
    [
        ("stat", without("head"), "ETag"),
        ("stat", without("head", ETag='"e"'), "LastModified"),
        ("stat", without("head", **{"ETag": '"e"', "Last-Modified": "yesterday"}), "time"),
        ("renew if old", without("head", ETag='"e"', **{"x-amz-request-id": "1"}), "LastModified"),
        ("renew", without("head", **{"Last-Modified": "Mon, 04 May 2026 10:00:00 GMT"}), "ETag"),
        ("list", without("list", entry(NAME, SIZE)), "LastModified"),
        ("list", without("list", entry(NAME, TIME)), "Size"),
        ("list", without("list", entry(SIZE, TIME)), "Key"),
        ("list", without("list", entry(NAME, TIME, "<Size>many</Size>")), "number"),
        ("list", without("list", entry(NAME, SIZE, "<LastModified>x</LastModified>")), "time"),
        ("large overwrite", without("begin", "<InitiateMultipartUploadResult/>"), "UploadId"),
        ("large overwrite", without("part", **{"x-amz-request-id": "1"}), "ETag"),
    ],
)
def test_a_missing_member_is_named(operation: str, fault: Fault, missing: str) -> None:
    with AlmostS3(fault) as server, opened(server.url) as store:
        with pytest.raises(StorageError, match=missing) as failed:
            OPERATIONS[operation](store)
        assert failed.value.provider == "s3"
        assert server.url in str(failed.value)


def test_a_blob_without_a_time_is_read() -> None:
    with (
        AlmostS3(lambda request: request.operation == "get" and request.respond(
            200, "data", {"ETag": '"e"'}
        )) as server,
        opened(server.url) as store,
    ):  # fmt: skip
        assert store.fetch("k") == (b"data", None)


def test_a_cut_document_is_transient() -> None:
    cut = without("list", "<ListBucketResult><Contents><Key>k</K")
    with (
        AlmostS3(cut) as server,
        opened(server.url) as store,
        pytest.raises(StorageUnavailableError),
    ):
        list(store.list())


@pytest.mark.parametrize(
    "body", ["<?xml version='1.0'?>\n<!-- c --><ns:ListBucketResult xmlns:ns='u'/>",
             "\ufeff<ListBucketResult/>"],
)  # fmt: skip
def test_documents_in_another_spelling_are_read(body: str) -> None:
    with AlmostS3(without("list", body)) as server, opened(server.url) as store:
        assert list(store.list()) == []
