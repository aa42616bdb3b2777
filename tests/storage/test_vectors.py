"""Key layouts of the official SDK, case by case: we read them all, and write the right key."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import BlobNotFoundError, StorageAccessDeniedError, StorageConfigError
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.envelope import write_envelope
from mistral_offload.payload.jsontext import load_json
from mistral_offload.storage import BlobStore, MemoryStore
from tests.servers.azurite import Azurite
from tests.servers.gcs import FakeGCS
from tests.servers.seaweed import Seaweed
from tests.storage.backends import Backend
from tests.vectors import Case, Differences, b64, load, parameters

_AS_TEXT = "the prefix is compared by path segment, and always added, not when the text differs"
_SLASH = "the prefix is joined with one slash, wherever the setting has slashes"
DIFFERENCES = Differences(
    {
        "*/encode/prefix_trailing_slash*": _SLASH,
        "*/encode/prefix_leading_slash*": _SLASH,
        "*/encode/prefix_start_of_key*": _AS_TEXT,
        "*/encode/prefix_equals_key_root*": _AS_TEXT,
        "*/encode/prefix_equals_root_and_namespace*": _AS_TEXT,
    }
)
# The error tests of their stores cover a 403 with Google's SDK and Azure's.
BACKENDS = {"s3": ("s3", "memory", "local"), "azure": ("azure",), "gcs": ("gcs",)}


def cases(*ops: str) -> list[Any]:
    """Return each case with each backend it applies to; s3 cases also with the local ones."""
    return [
        pytest.param(backend, case, id=f"{backend}-{case['name']}")
        for case in load("storage_backends")
        if case["op"] in ops and "server_status" not in case
        for backend in BACKENDS.get(case["name"].split("/")[0], ())
    ]


# Each case lists its whole bucket several times, so it is not the one of the other tests.


@pytest.fixture(scope="module")
def seaweed_bucket(seaweed: Seaweed) -> str:
    return seaweed.make_bucket()


@pytest.fixture(scope="module")
def azurite_container(azurite: Azurite) -> str:
    return azurite.make_container()


@pytest.fixture(scope="module")
def fake_gcs_bucket(fake_gcs: FakeGCS) -> str:
    return fake_gcs.make_bucket()


Stores = dict[tuple[str, str | None], BlobStore]


@pytest.fixture(scope="module")
def stores() -> Iterator[Stores]:
    """Cloud stores by prefix, shared because creating clients takes most of the time."""
    opened: Stores = {}
    yield opened
    for store in opened.values():
        store.close()


def opened(backend: Backend, stores: Stores, prefix: str | None) -> BlobStore:
    provider = backend.open().provider
    if provider in ("memory", "local"):
        return backend.open(prefix=prefix)
    if (provider, prefix) not in stores:
        stores[provider, prefix] = backend.make(prefix, 4)
    return stores[provider, prefix]


class Place(NamedTuple):
    """A store, and a view of the same place without a prefix."""

    store: BlobStore
    plain: BlobStore

    def blobs(self) -> dict[str, bytes]:
        return {blob.key: self.plain.get(blob.key) for blob in self.plain.list()}

    def clear(self) -> None:
        for key in self.blobs():
            self.plain.delete(key)


@pytest.fixture
def place(backend: Backend, case: Case, stores: Stores) -> Iterator[Place]:
    """The place of a case, with its existing blobs."""
    store = opened(backend, stores, case["storage"].get("prefix"))
    plain = opened(backend, stores, None)
    if isinstance(store, MemoryStore) and isinstance(plain, MemoryStore):
        store._blobs = plain._blobs  # pyright: ignore[reportPrivateUsage]
    found = Place(store, plain)
    found.clear()
    for key, text in case.get("objects", {}).items():
        plain.put(key, b64(text))
    yield found
    found.clear()


def tidied(key: str) -> str:
    """Return a key without empty segments, which SeaweedFS and Azurite do not support."""
    return "/".join(segment for segment in key.split("/") if segment)


@pytest.mark.parametrize(("backend", "case"), cases("encode"), indirect=["backend"])
def test_encode(place: Place, case: Case) -> None:
    store = place.store
    config = PayloadOffloadingConfig(
        storage_config=BlobStorageConfig(bucket_name="b"),
        min_size_bytes=case.get("min_size_bytes", 0),
    )
    encoder = PayloadEncoder(config, store=store)
    payload = encoder.encode_value(case["input"], PayloadContext(**case["context"]))
    expected = case["expected"]
    envelope = load_json(write_envelope(payload))
    assert envelope["b64payload"] == expected["encoded"]["b64payload"]
    assert envelope["encoding_options"] == expected["encoded"]["encoding_options"]
    found = place.blobs()
    official = {tidied(key): b64(text) for key, text in case["objects_after"].items()}
    if case["name"] not in DIFFERENCES:
        assert {tidied(key): data for key, data in found.items()} == official
    else:
        (data,) = official.values()
        ours = tidied(f"{case['storage']['prefix']}/{expected['reference']['key']}")
        assert found[ours] == data
        assert {tidied(key) for key in found} <= {ours, *map(tidied, case.get("objects", {}))}
    place.clear()
    _check_reading(place, case)


def _check_reading(place: Place, case: Case) -> None:
    """Check that a blob of the official SDK is found under its key layout."""
    for official, text in case["objects_after"].items():
        key, data = case["expected"]["reference"]["key"], b64(text)
        place.plain.put(official, data)
        assert place.store.get(key) == data
        found = place.store.stat(key)
        assert (found.key, found.size) == (key, len(data))


@pytest.mark.parametrize(("backend", "case"), cases("decode"), indirect=["backend"])
def test_decode(place: Place, case: Case) -> None:
    store = place.store
    if "error" in case["expected"]:
        assert case["expected"]["error"]["class"] == "BlobNotFoundError"
        with pytest.raises(BlobNotFoundError):
            store.get(case["key"])
    else:
        assert json.loads(store.get(case["key"])) == case["expected"]["value"]


@pytest.mark.parametrize(
    ("backend", "case"), cases("get", "put", "properties", "exists"), indirect=["backend"]
)
def test_operations(place: Place, case: Case) -> None:
    store, key, expected = place.store, case["key"], case["expected"]
    if case["op"] == "get":
        assert store.get(key) == b64(expected["data_b64"])
    elif case["op"] == "put":  # the official SDK always overwrites
        assert store.put(key, b64(case["data_b64"]), overwrite=True) is True
    elif expected["exists"]:
        assert store.stat(key).size == expected.get("size", store.stat(key).size)
    else:
        with pytest.raises(BlobNotFoundError):
            store.stat(key)
    found = place.blobs()
    assert found == {key: b64(text) for key, text in case["objects_after"].items()}


@pytest.mark.parametrize(
    "case", parameters(c for c in load("storage_backends") if c["name"].startswith("config_error"))
)
def test_configurations_that_are_refused(case: Case) -> None:
    with pytest.raises(StorageConfigError):
        BlobStorageConfig(**(case["storage"] or {}))


@pytest.mark.parametrize("operation", ["put", "get"])
def test_a_server_that_answers_403(operation: str) -> None:
    refused = [c for c in load("storage_backends") if "server_status" in c]
    assert {case["server_status"] for case in refused} == {403}
    store = MemoryStore()  # cloud stores: see the tests of their errors
    store.fail("put", StorageAccessDeniedError)
    store.fail("get", StorageAccessDeniedError)
    with pytest.raises(StorageAccessDeniedError):
        store.put("k", b"") if operation == "put" else store.get("k")


@pytest.mark.parametrize(
    ("prefix", "extra"),
    [
        (None, {}),
        ("data", {}),
        ("data/", {("get", "data//temporal-payload/k"): 1}),
        ("/data", {("get", "/data/temporal-payload/k"): 1}),
        ("temporal", {("get", "temporal-payload/k"): 1}),
    ],
)
def test_a_miss_costs_one_request_more_only_where_the_rules_differ(
    prefix: str | None, extra: dict[tuple[str, str], int]
) -> None:
    store = MemoryStore(prefix=prefix)
    place = f"{(prefix or '').strip('/')}/temporal-payload/k".lstrip("/")
    with pytest.raises(BlobNotFoundError) as caught:
        store.get("temporal-payload/k")
    assert caught.value.key == place
    assert not isinstance(caught.value.__context__, BlobNotFoundError)
    assert store.requests == {("get", place): 1} | extra
    store.put("temporal-payload/k", b"data")
    store.requests.clear()
    assert store.get("temporal-payload/k") == b"data"
    assert store.requests == {("get", place): 1}


def test_listed_differences_exist() -> None:
    assert not DIFFERENCES.unused(load("storage_backends"))
    assert len(cases("encode", "decode", "get", "put", "properties", "exists")) == 195
