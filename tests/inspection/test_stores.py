"""Locations searched for blobs, and their expiry, in real buckets."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from mistral_offload.config import BlobStorageConfig
from mistral_offload.errors import (
    BlobCorruptedError,
    BlobNotFoundError,
    ContainerNotFoundError,
)
from mistral_offload.inspection import Inspector
from mistral_offload.inspection.blob_locator import BlobLocator, CandidateLocation
from mistral_offload.inspection.expiry import Expiry, ExpiryReader
from mistral_offload.inspection.keys import BlobKey
from mistral_offload.inspection.payloads import find_fields
from mistral_offload.payload.field_reference import ContentForm, FieldReference
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.payload.reference import Reference
from mistral_offload.storage.factory import open_store
from tests.servers.proxy import CountingProxy
from tests.servers.seaweed import Seaweed

from .scene import NAMESPACE, Scene

PAYLOAD = Reference.of(b"1", namespace=NAMESPACE, execution_id="e").key
OFFICIAL = f"temporal-activity-payload/{NAMESPACE}/r/063d8de6-d729-4496-a390-85445934bde8/image"


@pytest.fixture
def scene(seaweed: Seaweed, tmp_path: Path) -> Scene:
    return Scene(seaweed, seaweed.make_bucket(), tmp_path)


def field_key(data: bytes, *, size: int | None = None) -> str:
    return FieldReference.of(
        data,
        namespace=NAMESPACE,
        run_id="r",
        field="image",
        form=ContentForm.BYTES,
        size=len(data) if size is None else size,
    ).key


def location(config: BlobStorageConfig, key: str = PAYLOAD) -> CandidateLocation:
    return CandidateLocation(config, open_store(config), key)


@pytest.mark.parametrize(
    ("prefix", "stored_key"),
    [
        ("", PAYLOAD),
        ("data", f"data/{PAYLOAD}"),
        ("/data/", f"data/{PAYLOAD}"),
        ("temporal", f"temporal/{PAYLOAD}"),
        ("temporal", PAYLOAD),  # the official SDK takes the key's beginning for the prefix
    ],
)
async def test_prefixes(scene: Scene, prefix: str, stored_key: str) -> None:
    scene.prefix = prefix
    locator = BlobLocator(scene.settings())
    key = BlobKey.of(PAYLOAD)
    with pytest.raises(BlobNotFoundError, match="was deleted or has expired"):
        await locator.find(key)
    scene.put(stored_key, b"1")
    found = await locator.find(key)
    assert (found.location.key, found.size) == (stored_key, 1)
    assert datetime.now(timezone.utc) - found.modified < timedelta(minutes=1)
    locator.require_prefix(stored_key.removesuffix(PAYLOAD), key)


async def test_no_bucket(scene: Scene) -> None:
    """A HEAD response of S3 alone does not tell a missing bucket from a missing blob."""
    locator = BlobLocator(scene.settings(bucket_name="no-such-bucket"))
    with pytest.raises(ContainerNotFoundError):
        await locator.find(BlobKey.of(PAYLOAD))


async def test_rules(scene: Scene, seaweed: Seaweed) -> None:
    client = seaweed.client()
    client.put_bucket_lifecycle_configuration(
        Bucket=scene.bucket,
        LifecycleConfiguration={
            "Rules": [
                rule("long", 90, {"Prefix": ""}),
                rule("short", 20, {"Prefix": f"temporal-payload/{NAMESPACE}/"}),
                rule("tagged", 1, {"Tag": {"Key": "a", "Value": "b"}}),
                rule("other", 1, {"Prefix": "temporal-payload/another/"}),
            ]
        },
    )
    client.close()
    reader = ExpiryReader()
    found = await reader.read(location(scene.storage()))
    assert found.rule is not None
    assert (found.days, found.rule.name) == (20, "short")
    assert found.note == "may be removed earlier, by rule 'tagged' of the whole bucket"
    assert (await reader.read(location(scene.storage(), "x"))).days == 90
    now = datetime.now(timezone.utc)
    assert found.days_left(now - timedelta(days=5), now) == 15
    assert found.days_left(now - timedelta(days=21), now) == -1


def rule(name: str, days: int, chosen: dict[str, Any]) -> Any:
    return {"ID": name, "Status": "Enabled", "Filter": chosen, "Expiration": {"Days": days}}


async def test_rules_that_may_not_be_read(scene: Scene, seaweed: Seaweed) -> None:
    user = SecretStr(seaweed.listing_access_key)
    config = scene.storage().model_copy(update={"aws_access_key_id": user})
    found = await ExpiryReader().read(location(config))
    assert found.days is None
    assert "s3:GetLifecycleConfiguration" in str(found.note)


async def test_a_directory(tmp_path: Path) -> None:
    config = BlobStorageConfig(storage_provider="local", path=tmp_path)  # type: ignore[arg-type]
    found = await ExpiryReader().read(location(config))
    assert (found, found.days_left(datetime.min, datetime.max)) == (Expiry(None), None)


async def test_a_field(scene: Scene) -> None:
    data = b"\x89PNG"
    scene.put(field_key(data), data)
    inspector = Inspector(scene.settings())
    found = await inspector.inspect_key(BlobKey.of(field_key(data)))
    assert (found.data, found.is_verified, found.errors) == (data, True, ())
    wrong = field_key(data, size=5)
    scene.put(wrong, data)
    found = await inspector.inspect_key(BlobKey.of(wrong))
    assert isinstance(found.errors[0], BlobCorruptedError)
    assert "4 bytes are stored, but the key says 5" in str(found.errors[0])
    scene.put(OFFICIAL, data)
    found = await inspector.inspect_key(BlobKey.of(OFFICIAL))
    assert (found.data, found.is_verified, found.errors) == (data, None, ())


async def test_fields_of_a_value(scene: Scene) -> None:
    """The fields that the blob of a payload refers to are checked as well."""
    there, gone = field_key(b"1"), field_key(b"2")
    scene.put(there, b"1")
    value = {
        "a": [{"value": None, "blob_ref": there}] * 2,
        "b": {"value": None, "blob_ref": gone},
        "c": {"value": None, "blob_ref": "notes.txt"},
        "d": {"value": 1, "blob_ref": None},
    }
    text = dump_json(value)
    key = Reference.of(text, namespace=NAMESPACE, execution_id="e").key
    scene.put(key, text)
    found = await Inspector(scene.settings()).inspect_key(BlobKey.of(key))
    assert [each.key.text for each in found.fields] == [there, gone]
    assert [type(each).__name__ for each in found.all_errors] == [
        "ReferenceRefusedError",
        "BlobNotFoundError",
    ]


@pytest.mark.parametrize(
    "data", [b"", b"blob_ref", b'{"blob_ref": 1}', b'\xff"blob_ref"', b'["blob_ref"]']
)
def test_no_fields(data: bytes) -> None:
    assert find_fields(data) == ([], [])


async def test_one_request_a_blob(
    scene: Scene, seaweed: Seaweed, seaweed_proxy: CountingProxy
) -> None:
    keys = [field_key(b"%d" % n) for n in range(40)]
    for n, key in enumerate(keys):
        scene.put(key, b"%d" % n)
    inspector = Inspector(scene.settings(endpoint_url=seaweed_proxy.url))
    blobs = await inspector.check_blobs(BlobKey.of(key) for key in keys * 2)
    assert all(each.found for each in blobs.values())
    assert seaweed_proxy.counts()["HEAD"] == 40
    assert seaweed_proxy.counts()["GET"] == 1, "the rules of the bucket"
