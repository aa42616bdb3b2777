"""The lifecycle of a Google bucket, checked from outside without a library."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mistral_offload.config import BlobStorageConfig, StorageProvider
from mistral_offload.errors import (
    ContainerNotFoundError,
    LifecycleChangedError,
    StorageAccessDeniedError,
)
from mistral_offload.lifecycle.factory import open_lifecycle
from mistral_offload.lifecycle.rules import ExpiryRule
from tests.servers.gcs_buckets import GCSBuckets
from tests.servers.proxy import CountingProxy

PREFIX = "temporal-payload/"
OTHERS: list[dict[str, Any]] = [
    {"action": {"type": "SetStorageClass", "storageClass": "NEARLINE"}, "condition": {"age": 5}},
    {"action": {"type": "Delete"}, "condition": {"age": 3, "moonPhase": "full"}},
]


def ours(days: int) -> dict[str, Any]:
    return {"action": {"type": "Delete"}, "condition": {"age": days, "matchesPrefix": [PREFIX]}}


def config_for(url: str, bucket: str, **settings: Any) -> BlobStorageConfig:
    return BlobStorageConfig(
        storage_provider=StorageProvider.GCS,
        bucket_id=bucket,
        endpoint_url=url,
        retry_seconds=0,
        **settings,
    )


def test_an_empty_bucket(gcs_buckets: GCSBuckets) -> None:
    bucket = gcs_buckets.make_bucket()
    lifecycle = open_lifecycle(config_for(gcs_buckets.url, bucket))
    assert lifecycle.read() == []
    lifecycle.apply(lifecycle.plan([PREFIX], 45))
    assert gcs_buckets.lifecycle(bucket) == {"rule": [ours(45)]}
    assert lifecycle.read() == [ExpiryRule(PREFIX, 45, is_ours=True)]


def test_rules_of_others_stay(gcs_buckets: GCSBuckets) -> None:
    bucket = gcs_buckets.make_bucket()
    gcs_buckets.set_lifecycle(bucket, {"rule": OTHERS, "weather": "rain"})
    lifecycle = open_lifecycle(config_for(gcs_buckets.url, bucket))
    lifecycle.apply(lifecycle.plan([PREFIX], 45))
    lifecycle.apply(lifecycle.plan([PREFIX], 60))
    assert gcs_buckets.lifecycle(bucket) == {"rule": [*OTHERS, ours(60)], "weather": "rain"}


def test_a_write_names_the_version_and_the_second_time_there_is_none(
    gcs_buckets: GCSBuckets, gcs_buckets_proxy: CountingProxy
) -> None:
    bucket = gcs_buckets.make_bucket()
    gcs_buckets.set_lifecycle(bucket, {"rule": OTHERS})
    lifecycle = open_lifecycle(config_for(gcs_buckets_proxy.url, bucket, project="billed"))
    lifecycle.apply(lifecycle.plan([PREFIX], 45))
    (write,) = [sent for sent in gcs_buckets_proxy.requests if sent.method == "PATCH"]
    assert "ifMetagenerationMatch=2&" in write.path
    assert all("userProject=billed" in sent.path for sent in gcs_buckets_proxy.requests)
    gcs_buckets_proxy.clear()
    lifecycle.apply(lifecycle.plan([PREFIX], 45))
    assert gcs_buckets_proxy.counts() == {"GET": 1}


def test_somebody_else_writes_between_plan_and_apply(gcs_buckets: GCSBuckets) -> None:
    bucket = gcs_buckets.make_bucket()
    lifecycle = open_lifecycle(config_for(gcs_buckets.url, bucket))
    plan = lifecycle.plan([PREFIX], 45)
    gcs_buckets.set_lifecycle(bucket, {"rule": OTHERS})
    with pytest.raises(LifecycleChangedError, match="nothing was written"):
        lifecycle.apply(plan)
    assert gcs_buckets.lifecycle(bucket) == {"rule": OTHERS}


def test_somebody_else_writes_at_the_same_time(
    gcs_buckets: GCSBuckets, gcs_buckets_proxy: CountingProxy
) -> None:
    bucket = gcs_buckets.make_bucket()
    lifecycle = open_lifecycle(config_for(gcs_buckets_proxy.url, bucket))
    plan = lifecycle.plan([PREFIX], 45)
    gcs_buckets_proxy.answer("PATCH", 412)  # the emulator ignores the condition
    with pytest.raises(LifecycleChangedError, match="does not show the lifecycle rules"):
        lifecycle.apply(plan)


def test_an_answer_that_is_lost(gcs_buckets: GCSBuckets, gcs_buckets_proxy: CountingProxy) -> None:
    bucket = gcs_buckets.make_bucket()
    lifecycle = open_lifecycle(config_for(gcs_buckets_proxy.url, bucket))
    plan = lifecycle.plan([PREFIX], 45)
    # It was written, the response was lost, and so the next attempt meets a newer version.
    open_lifecycle(config_for(gcs_buckets.url, bucket)).apply(plan)
    gcs_buckets_proxy.answer("GET", 200, b'{"metageneration": "1"}')
    gcs_buckets_proxy.answer("PATCH", 412)
    lifecycle.apply(plan)
    assert gcs_buckets.lifecycle(bucket) == {"rule": [ours(45)]}


def test_no_bucket(gcs_buckets: GCSBuckets) -> None:
    with pytest.raises(ContainerNotFoundError):
        open_lifecycle(config_for(gcs_buckets.url, "no-such-bucket")).read()


@pytest.mark.parametrize(
    ("method", "permission"),
    [("GET", "storage.buckets.get"), ("PATCH", "storage.buckets.update")],
)
def test_no_right(
    gcs_buckets: GCSBuckets, gcs_buckets_proxy: CountingProxy, method: str, permission: str
) -> None:
    bucket = gcs_buckets.make_bucket()
    lifecycle = open_lifecycle(config_for(gcs_buckets_proxy.url, bucket))
    gcs_buckets_proxy.answer(method, 403, b'{"error": {"code": 403}}')
    with pytest.raises(StorageAccessDeniedError, match=permission) as caught:
        lifecycle.apply(lifecycle.plan([PREFIX], 45))
    assert "'Storage Admin'" in str(caught.value)


def test_the_token_may_change_buckets(
    gcs_buckets: GCSBuckets, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[Any] = []

    class Recorder:
        universe_domain = "googleapis.com"

        @classmethod
        def from_service_account_info(cls, content: object, *, scopes: list[str]) -> Any:
            from google.auth.credentials import AnonymousCredentials

            asked.append((content, scopes))
            return AnonymousCredentials()

    monkeypatch.setattr("google.oauth2.service_account.Credentials", Recorder)
    key = tmp_path / "key.json"
    key.write_text("{}")
    bucket = gcs_buckets.make_bucket()
    open_lifecycle(config_for(gcs_buckets.url, bucket, service_account_path=key)).read()
    assert asked == [({}, ["https://www.googleapis.com/auth/devstorage.full_control"])]
