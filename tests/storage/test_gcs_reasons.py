"""Google Cloud Storage refusals: the reason decides, and the server's sentence is shown."""

from __future__ import annotations

import json

import pytest

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.errors import (
    MistralOffloadError,
    StorageAccessDeniedError,
    StorageConfigError,
    StorageError,
    StorageUnavailableError,
)
from mistral_offload.storage.gcs import GCSStore
from tests.servers.gcs import FakeGCS
from tests.servers.proxy import CountingProxy
from tests.servers.scripted import ScriptedServer
from tests.storage.backends import gcs_config
from tests.storage.test_gcs import object_requests

CONDITION = "At least one of the pre-conditions you specified did not hold."
POLICY = "Request violates constraint 'constraints/gcp.restrictNonCmekServices'"


def refusal(status: int, reason: str, message: str) -> bytes:
    entry = {"domain": "global", "reason": reason, "message": message}
    return json.dumps({"error": {"code": status, "message": message, "errors": [entry]}}).encode()


def response(status: int, body: bytes) -> bytes:
    head = f"HTTP/1.1 {status} Status\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body


def at(url: str, **settings: object) -> GCSStore:
    given: dict[str, object] = {"bucket_id": "bucket", "endpoint_url": url, "retry_seconds": 0}
    given["storage_provider"] = StorageProvider.GCS
    return GCSStore(BlobStorageConfig(**(given | settings)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("status", "reason", "expected", "match"),
    [
        (403, "rateLimitExceeded", StorageUnavailableError, "rate limit or quota"),
        (403, "userRateLimitExceeded", StorageUnavailableError, "rate limit or quota"),
        (403, "usageLimits.rateLimitExceeded", StorageUnavailableError, "rate limit or quota"),
        (403, "quotaExceeded", StorageUnavailableError, "rate limit or quota"),
        (429, "RATE_LIMIT_EXCEEDED", StorageUnavailableError, "rate limit or quota"),
        (400, "backendError", StorageUnavailableError, "cannot handle the request now"),
        (403, "objectUnderActiveHold", StorageError, "a hold or a retention policy"),
        (403, "retentionPolicyNotMet", StorageError, "a hold or a retention policy"),
        (400, "resourceIsEncryptedWithCustomerEncryptionKey", StorageError, "a client supplies"),
        (400, "customerEncryptionKeyIsIncorrect", StorageError, "a client supplies"),
        (400, "cloudKmsDisabledKey", StorageConfigError, "Cloud KMS key cannot be used"),
        (400, "cloudKmsEncryptionKeyNotFound", StorageConfigError, "Cloud KMS key cannot be used"),
        (400, "userProjectMissing", StorageConfigError, "set project"),
        (403, "userProjectAccountProblem", StorageConfigError, "set project"),
        (403, "usageLimits.accessNotConfigured", StorageConfigError, "API is not enabled"),
        (403, "accountDisabled", StorageAccessDeniedError, "billing"),
        (403, "vpcServiceControls", StorageAccessDeniedError, "policy of the organization"),
        (412, "orgPolicyConstraintFailed", StorageAccessDeniedError, "policy of the organization"),
        (403, "forbidden", StorageAccessDeniedError, "storage.objects"),
        (403, "somethingNew", StorageAccessDeniedError, "storage.objects"),
    ],
)
@pytest.mark.parametrize("operation", ["overwrite", "create", "delete", "list"])
def test_the_reason_decides(
    operation: str, status: int, reason: str, expected: type[MistralOffloadError], match: str
) -> None:
    body = refusal(status, reason, "The server's own words.\nMore of them.")
    with ScriptedServer(response(status, body)) as server, at(server.url) as store:
        uses = {
            "overwrite": lambda: store.put("k", b"x", overwrite=True),
            "create": lambda: store.put("k", b"x"),
            "delete": lambda: store.delete("k"),
            "list": lambda: list(store.list()),
        }
        with pytest.raises(expected, match=match) as caught:
            uses[operation]()
    assert type(caught.value) is expected
    assert reason in str(caught.value)
    assert 'the server says: "The server\'s own words"' in str(caught.value)
    assert "More of them" not in str(caught.value)


def test_a_rate_limit_is_waited_out(
    fake_gcs: FakeGCS, fake_gcs_bucket: str, fake_gcs_proxy: CountingProxy, root: str
) -> None:
    body = refusal(403, "rateLimitExceeded", "Too many changes of one object.")
    config = gcs_config(fake_gcs, fake_gcs_bucket, root, endpoint_url=fake_gcs_proxy.url)
    with GCSStore(config) as store:
        fake_gcs_proxy.answer("POST", 403, body)
        assert store.put("k", b"data") is True
        fake_gcs_proxy.answer("GET", 403, body)
        assert store.get("k") == b"data"
        fake_gcs_proxy.answer("DELETE", 403, body)
        store.delete("k")
    assert object_requests(fake_gcs_proxy) == {"POST": 2, "GET": 2, "DELETE": 2}


@pytest.mark.parametrize(
    ("status", "reason", "message", "expected"),
    [
        (412, "conditionNotMet", POLICY, StorageError),  # policies give this reason as well
        (412, "orgPolicyConstraintFailed", POLICY, StorageAccessDeniedError),
        (412, "orgPolicyConstraintFailed", CONDITION, StorageAccessDeniedError),
        (412, "", "", StorageError),
        (403, "objectUnderActiveHold", "Object is under active hold.", StorageError),
        (403, "retentionPolicyNotMet", "Object is subject to a policy.", StorageError),
    ],
)
def test_one_read_before_a_refusal_counts_as_is_there(
    fake_gcs: FakeGCS,
    fake_gcs_bucket: str,
    fake_gcs_proxy: CountingProxy,
    root: str,
    status: int,
    reason: str,
    message: str,
    expected: type[MistralOffloadError],
) -> None:
    config = gcs_config(
        fake_gcs, fake_gcs_bucket, root, endpoint_url=fake_gcs_proxy.url, retry_seconds=0
    )
    body = refusal(status, reason, message)
    with GCSStore(config) as store:
        fake_gcs_proxy.answer("POST", status, body)
        with pytest.raises(expected) as caught:
            store.put("k", b"data")
        assert type(caught.value) is expected
        assert message.rstrip(".") in str(caught.value)
        assert fake_gcs_proxy.counts() == {"POST": 1, "GET": 1}
        assert store.put("k", b"data") is True
        fake_gcs_proxy.clear()
        fake_gcs_proxy.answer("POST", status, body)
        assert store.put("k", b"data") is False
        assert fake_gcs_proxy.counts() == {"POST": 1, "GET": 1}
        fake_gcs_proxy.answer("POST", status, body)
        with pytest.raises(expected):
            store.put("k", b"data", overwrite=True)
        assert fake_gcs_proxy.counts() == {"POST": 2, "GET": 1}


def test_an_unmet_condition_needs_no_read() -> None:
    body = refusal(412, "conditionNotMet", CONDITION)
    with ScriptedServer(response(412, body)) as server, at(server.url) as store:
        assert store.put("k", b"data") is False
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"null",
        b"[1]",
        b'{"error": "text"}',
        b'{"error": {"errors": {"reason": 1}, "message": ["m"]}}',
        b'{"error": {"errors": [null, {"reason": {}}], "details": 7, "message": 1}}',
        b"[" * 100_000,
        b"\xff\xfe\x00",
    ],
)
def test_a_refusal_of_another_form(body: bytes) -> None:
    with ScriptedServer(response(403, body)) as server, at(server.url) as store:
        with pytest.raises(StorageAccessDeniedError, match=r"put: HTTP 403\)"):
            store.put("k", b"data")
        # The SDK itself fails to read some of them, and does not give the status.
        with pytest.raises(StorageError, match=r"delete: HTTP 403\)|another service responds"):
            store.delete("k")


@pytest.mark.parametrize(
    "body",
    [
        b'{"items": 7}',
        b'{"items": [7]}',
        b'{"items": [{}]}',
        b'{"items": [{"name": "k"}]}',
        b'{"items": [{"name": "k", "size": "many", "updated": "2026-01-01T00:00:00Z"}]}',
        b'{"items": [{"name": "k", "size": "1", "timeCreated": "yesterday"}]}',
        b'{"items": [], "nextPageToken": 7}',
        b"[]",
        b"7",
    ],
)
def test_a_listing_of_another_form(body: bytes) -> None:
    with (
        ScriptedServer(response(200, body)) as server,
        at(server.url) as store,
        pytest.raises(StorageError, match="another service responds") as caught,
    ):
        list(store.list())
    assert type(caught.value) is StorageError


def test_a_listing_that_does_not_end() -> None:
    body = b'{"items": [], "nextPageToken": "again"}'
    with (
        ScriptedServer(response(200, body)) as server,
        at(server.url, retry_seconds=8) as store,  # it hangs up after each response
        pytest.raises(StorageError, match=r"does not end|repeats the token"),
    ):
        list(store.list())
