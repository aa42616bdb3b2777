"""The lifecycle of a bucket on a real S3 server, checked from outside with boto3."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest
from pydantic import SecretStr

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import (
    ContainerNotFoundError,
    LifecycleChangedError,
    StorageAccessDeniedError,
    StorageUnavailableError,
)
from mistral_offload.lifecycle.factory import open_lifecycle
from mistral_offload.lifecycle.rules import ExpiryRule
from tests.servers.proxy import CountingProxy
from tests.servers.scripted import ScriptedServer
from tests.servers.seaweed import Seaweed
from tests.storage.backends import s3_config

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

PAYLOADS = "data/temporal-payload/"
FIELDS = "data/temporal-activity-payload/"

OTHERS: list[dict[str, Any]] = [
    {
        "ID": "tagged and small",
        "Filter": {
            "And": {
                "Prefix": "tmp/",
                "Tags": [{"Key": "keep", "Value": "no"}, {"Key": "team", "Value": "b"}],
                "ObjectSizeLessThan": 1000,
            }
        },
        "Status": "Enabled",
        "Expiration": {"Days": 3},
    },
    {
        "ID": "versions",
        "Filter": {"Prefix": ""},
        "Status": "Disabled",
        "NoncurrentVersionExpiration": {"NoncurrentDays": 4, "NewerNoncurrentVersions": 3},
    },
]


@pytest.fixture
def outside(seaweed: Seaweed) -> Iterator[S3Client]:
    client = seaweed.client()
    yield client
    client.close()


@pytest.fixture
def bucket(seaweed: Seaweed) -> str:
    return seaweed.make_bucket()


@pytest.fixture
def config(seaweed: Seaweed, bucket: str) -> BlobStorageConfig:
    return s3_config(seaweed, bucket, retry_seconds=0)


def rules_of(client: S3Client, bucket: str) -> list[Any]:
    return list(client.get_bucket_lifecycle_configuration(Bucket=bucket)["Rules"])


def put_rules(client: S3Client, bucket: str, rules: list[Any], **more: Any) -> None:
    client.put_bucket_lifecycle_configuration(
        Bucket=bucket, LifecycleConfiguration={"Rules": rules}, **more
    )


def ours(prefix: str, days: int) -> dict[str, Any]:
    return {
        "ID": f"mistral-offload:{prefix}",
        "Filter": {"Prefix": prefix},
        "Status": "Enabled",
        "Expiration": {"Days": days},
        "NoncurrentVersionExpiration": {"NoncurrentDays": 7},
        "AbortIncompleteMultipartUpload": {"DaysAfterInitiation": 1},
    }


def test_an_empty_bucket(config: BlobStorageConfig, bucket: str, outside: S3Client) -> None:
    lifecycle = open_lifecycle(config)
    assert lifecycle.read() == []
    lifecycle.apply(lifecycle.plan([PAYLOADS, FIELDS], 45))
    assert rules_of(outside, bucket) == [ours(PAYLOADS, 45), ours(FIELDS, 45)]
    assert lifecycle.read() == [
        ExpiryRule(prefix, 45, f"mistral-offload:{prefix}", is_ours=True)
        for prefix in (PAYLOADS, FIELDS)
    ]


def test_rules_of_others_stay(config: BlobStorageConfig, bucket: str, outside: S3Client) -> None:
    size = "varies_by_storage_class"
    put_rules(outside, bucket, OTHERS, TransitionDefaultMinimumObjectSize=size)
    before = rules_of(outside, bucket)
    lifecycle = open_lifecycle(config)
    lifecycle.apply(lifecycle.plan([PAYLOADS], 45))
    lifecycle.apply(lifecycle.plan([PAYLOADS], 60))
    found = outside.get_bucket_lifecycle_configuration(Bucket=bucket)
    assert found["Rules"] == [*before, ours(PAYLOADS, 60)]
    assert found["TransitionDefaultMinimumObjectSize"] == size


def test_rules_in_the_form_of_old(
    config: BlobStorageConfig, bucket: str, outside: S3Client
) -> None:
    old = {"ID": "o", "Prefix": "old/", "Status": "Enabled", "Expiration": {"Days": 3}}
    put_rules(outside, bucket, [old])
    lifecycle = open_lifecycle(config)
    lifecycle.apply(lifecycle.plan([PAYLOADS], 45))
    expected = ours(PAYLOADS, 45)
    del expected["Filter"]
    assert rules_of(outside, bucket) == [old, {**expected, "Prefix": PAYLOADS}]
    assert not lifecycle.plan([PAYLOADS], 45).changes


def test_the_second_time_nothing_is_written(
    config: BlobStorageConfig, seaweed_proxy: CountingProxy
) -> None:
    lifecycle = open_lifecycle(config.model_copy(update={"endpoint_url": seaweed_proxy.url}))
    lifecycle.apply(lifecycle.plan([PAYLOADS], 45))
    assert seaweed_proxy.counts() == {"GET": 3, "PUT": 1}
    seaweed_proxy.clear()
    lifecycle.apply(lifecycle.plan([PAYLOADS], 45))
    assert seaweed_proxy.counts() == {"GET": 1}


def test_members_that_boto3_does_not_know(
    config: BlobStorageConfig, seaweed_proxy: CountingProxy
) -> None:
    # No server here supports such a rule, so the proxy responds instead.
    rule = "<ID>tides</ID><Filter><Moon>full</Moon></Filter><Flood><Height>3</Height></Flood>"
    tides = f"<Rule>{rule}</Rule>"
    body = f'<LifecycleConfiguration xmlns="http://s3.amazonaws.com/doc/2006-03-01/">{tides}'
    body += "</LifecycleConfiguration>"
    seaweed_proxy.answer("GET", 200, body.encode())
    lifecycle = open_lifecycle(config.model_copy(update={"endpoint_url": seaweed_proxy.url}))
    plan = lifecycle.plan([PAYLOADS], 45)
    head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(body)}\r\n\r\n"
    with ScriptedServer((head + body).encode()) as server:
        away = open_lifecycle(config.model_copy(update={"endpoint_url": server.url}))
        with pytest.raises(LifecycleChangedError):  # this server always sends the same response
            away.apply(plan)
        (sent,) = [sent for head, sent in server.requests if head.first.startswith("PUT")]
    assert tides.encode() in sent
    assert f"<Prefix>{PAYLOADS}</Prefix>".encode() in sent


def test_somebody_else_writes_between_plan_and_apply(
    config: BlobStorageConfig, bucket: str, outside: S3Client
) -> None:
    lifecycle = open_lifecycle(config)
    plan = lifecycle.plan([PAYLOADS], 45)
    put_rules(outside, bucket, OTHERS)
    before = rules_of(outside, bucket)
    with pytest.raises(LifecycleChangedError, match="nothing was written"):
        lifecycle.apply(plan)
    assert rules_of(outside, bucket) == before


def test_what_was_written_is_not_there(
    config: BlobStorageConfig, seaweed_proxy: CountingProxy
) -> None:
    lifecycle = open_lifecycle(config.model_copy(update={"endpoint_url": seaweed_proxy.url}))
    plan = lifecycle.plan([PAYLOADS], 45)
    seaweed_proxy.answer("PUT", 200)
    with pytest.raises(LifecycleChangedError, match="does not show the lifecycle rules"):
        lifecycle.apply(plan)


def test_transient_faults_are_tried_again(
    config: BlobStorageConfig, seaweed_proxy: CountingProxy
) -> None:
    seaweed_proxy.answer("GET", 503, times=2)
    changes = {"endpoint_url": seaweed_proxy.url, "retry_seconds": 10.0}
    assert open_lifecycle(config.model_copy(update=changes)).read() == []
    seaweed_proxy.answer("GET", 503)
    changes["retry_seconds"] = 0.0
    with pytest.raises(StorageUnavailableError):
        open_lifecycle(config.model_copy(update=changes)).read()


def test_no_bucket(config: BlobStorageConfig) -> None:
    with pytest.raises(ContainerNotFoundError):
        open_lifecycle(config.model_copy(update={"bucket_name": "no-such-bucket"})).read()


def test_no_right(seaweed: Seaweed, config: BlobStorageConfig) -> None:
    user = {"aws_access_key_id": SecretStr(seaweed.listing_access_key)}
    with pytest.raises(StorageAccessDeniedError, match="s3:GetLifecycleConfiguration"):
        open_lifecycle(config.model_copy(update=user)).read()
    user = {"aws_access_key_id": SecretStr(seaweed.reading_access_key)}
    lifecycle = open_lifecycle(config.model_copy(update=user))
    plan = lifecycle.plan([PAYLOADS], 45)
    with pytest.raises(StorageAccessDeniedError, match="s3:PutLifecycleConfiguration"):
        lifecycle.apply(plan)


def test_a_wrong_key(config: BlobStorageConfig) -> None:
    secret = "wrong+secret/that-nobody-may-see"
    wrong = config.model_copy(update={"aws_secret_access_key": SecretStr(secret)})
    with pytest.raises(StorageAccessDeniedError, match="not valid") as caught:
        open_lifecycle(wrong).read()
    assert secret not in repr(caught.value) + repr(caught.value.__cause__)
