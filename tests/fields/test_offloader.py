"""Transfers: concurrent, once per blob, with the right keys, and never unrequested."""

from __future__ import annotations

import asyncio
import math
import threading
from typing import Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from mistral_offload.config import BlobStorageConfig, FieldOffloadingConfig
from mistral_offload.errors import (
    BlobCorruptedError,
    OffloadingNotConfiguredError,
    PayloadDecodeError,
    PayloadSerializationError,
    ReferenceRefusedError,
)
from mistral_offload.fields.field import OffloadableField, OffloadableModel
from mistral_offload.fields.offloader import FieldOffloader
from mistral_offload.limits import INLINE_LIMIT_BYTES, MIB
from mistral_offload.payload.field_blob import NO_CIPHER
from mistral_offload.payload.field_reference import ContentForm, FieldReference
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.storage import MemoryStore
from tests.bounds import PATIENCE_SECONDS, within

RUN = {"namespace": "acme", "run_id": "run-1"}


class Doc(OffloadableModel):
    title: str = "t"
    text: OffloadableField[str]
    more: list[OffloadableField[str]] = Field(default_factory=list)


def offloader(store: MemoryStore, min_size_bytes: int = 1_000) -> FieldOffloader:
    storage = BlobStorageConfig(bucket_name="b")
    config = FieldOffloadingConfig(storage_config=storage, min_size_bytes=min_size_bytes)
    return FieldOffloader(config, store=store)


def field(text: str) -> OffloadableField[str]:
    return OffloadableField(value=text)


class MeetingStore(MemoryStore):
    """Blocks requests until the given number of them has arrived."""

    def __init__(self, parties: int) -> None:
        super().__init__()
        self._barrier = threading.Barrier(parties, timeout=PATIENCE_SECONDS)

    def _begin_request(self, operation: str, key: str) -> None:
        super()._begin_request(operation, key)
        self._barrier.wait()


async def test_transfers_of_one_call_run_at_the_same_time() -> None:
    store = MeetingStore(3)
    doc = Doc(text=field("a" * 5_000), more=[field("b" * 5_000), field("c" * 5_000)])
    offloaded = await offloader(store).offload_async(doc, **RUN)
    assert await offloader(store).restore_async(offloaded) == doc
    assert sorted(operation for operation, _ in store.requests) == ["get"] * 3 + ["put"] * 3


async def test_nothing_to_do_is_no_work() -> None:
    store = MemoryStore()
    small = Doc(text=field("a"))
    moved = Doc(text=OffloadableField(blob_ref="temporal-activity-payload/any/thing"))
    for value in (small, moved, "text", None, [1] * 1_000, {"a": 1}):
        assert await offloader(store).offload_async(value, **RUN) is value
    assert await offloader(store).restore_async(small) is small
    assert not store.requests


async def test_the_floor_yields_to_what_can_be_delivered() -> None:
    store = MemoryStore()
    doc = Doc(text=field("a" * INLINE_LIMIT_BYTES))
    offloaded = await offloader(store, 100 * MIB).offload_async(doc, **RUN)
    assert offloaded.text.is_offloaded


async def test_sizes_are_bytes() -> None:
    store = MemoryStore()
    doc = Doc(text=field("é" * 300))
    size = len(dump_json(doc))
    assert not (await offloader(store, size + 1).offload_async(doc, **RUN)).text.is_offloaded
    assert (await offloader(store, size).offload_async(doc, **RUN)).text.is_offloaded


async def test_again_is_the_same_blob() -> None:
    store = MemoryStore()
    doc = Doc(text=field("a" * 5_000))
    twice = [await offloader(store).offload_async(doc, **RUN) for _ in range(2)]
    keys = {offloaded.text.blob_ref for offloaded in twice}
    assert len(keys) == len(list(store.list())) == 1
    (key,) = keys
    assert key is not None
    reference = FieldReference.from_key(key)
    assert (reference.form, reference.size) == (ContentForm.JSON, 5_002)
    assert key.startswith("temporal-activity-payload/acme/run-1/sha256:")
    assert key.endswith("/json-5002/text")


async def test_a_changed_blob_is_noticed() -> None:
    store = MemoryStore()
    doc = await offloader(store).offload_async(Doc(text=field("a" * 5_000)), **RUN)
    key = doc.text.blob_ref
    store.put(key, b'"other"', overwrite=True)
    with pytest.raises(BlobCorruptedError):
        await offloader(store).restore_async(doc)


async def test_a_size_that_is_not_true_is_noticed() -> None:
    store = MemoryStore()
    doc = await offloader(store).offload_async(Doc(text=field("a" * 5_000)), **RUN)
    lie = doc.text.blob_ref.replace("json-5002", "json-5")
    store.put(lie, store.get(doc.text.blob_ref))
    with pytest.raises(BlobCorruptedError, match=r"5,002 bytes are stored, .* 5 bytes"):
        await offloader(store).restore_async(Doc(text=OffloadableField(blob_ref=lie)))


@pytest.mark.parametrize(
    "key",
    [
        "",
        "secrets/passwords",
        f"temporal-payload/n/e/sha256:{'0' * 64}",
        f"temporal-activity-payload/n/r/sha256:{'0' * 64}/json-1/a/../../b",
        f"temporal-activity-payload/n/r/sha256:{'0' * 64}/json-01/a",
        f"temporal-activity-payload/n/r/sha256:{'0' * 63}/json-1/a",
        f"temporal-activity-payload/n/r/sha256:{'0' * 64}/text-1/a",
        f"temporal-activity-payload/n%2f/r/sha256:{'0' * 64}/json-1/a",
        "temporal-activity-payload/n/r/not-a-uuid/a",
        f"../temporal-activity-payload/n/r/sha256:{'0' * 64}/json-1/a",
    ],
)
async def test_refused_keys(key: str) -> None:
    store = MemoryStore()
    with pytest.raises(ReferenceRefusedError):
        await offloader(store).restore_async(Doc(text=OffloadableField(blob_ref=key)))
    assert not store.requests


async def test_references_that_lead_round_in_circles_end() -> None:
    class Ring(OffloadableModel):
        next: OffloadableField[Ring]

    Ring.model_rebuild(_types_namespace={"Ring": Ring, "OffloadableField": OffloadableField})
    store = MemoryStore()
    key = "temporal-activity-payload/n/r/84534fb9-66cd-4520-91aa-01aeac838f74/next"
    store.put(key, f'{{"next": {{"value": null, "blob_ref": "{key}"}}}}'.encode())
    with pytest.raises(PayloadDecodeError, match="nested more than"):
        await offloader(store).restore_async(Ring(next=OffloadableField(blob_ref=key)))
    assert store.requests["get", key] == 1


async def test_without_configuration() -> None:
    plain = FieldOffloader()
    doc = Doc(text=field("a" * 5_000_000))
    assert await plain.offload_async(doc, **RUN) is doc
    moved = await offloader(MemoryStore()).offload_async(doc, **RUN)
    with pytest.raises(OffloadingNotConfiguredError, match="ACTIVITY_ATTRIBUTES_OFFLOADING__"):
        await plain.restore_async(moved)


async def test_what_has_no_json_form_is_named() -> None:
    class Odd(OffloadableModel):
        parts: OffloadableField[list[Any]]

    with pytest.raises(PayloadSerializationError, match="field 'parts'"):
        await offloader(MemoryStore()).offload_async(
            Odd(parts=OffloadableField(value=[object()])), **RUN
        )
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(PayloadSerializationError, match="contains itself"):
        await offloader(MemoryStore()).offload_async(loop, **RUN)


@pytest.mark.parametrize("size", [1, 5_000])
async def test_content_that_would_be_lost_is_named(size: int) -> None:
    class Score(BaseModel):
        best: float | None
        password: SecretStr = SecretStr("")

    class Report(OffloadableModel):
        score: OffloadableField[Score]
        number: OffloadableField[list[float]] = OffloadableField(value=[])
        text: OffloadableField[str]

    for score, words in (
        (Score(best=math.nan), "best: nan would arrive as null"),
        (Score(best=1, password=SecretStr("hunter2")), "password: a SecretStr"),
    ):
        report = Report(score=OffloadableField(value=score), text=field("x" * size))
        with pytest.raises(PayloadSerializationError) as caught:
            await offloader(MemoryStore()).offload_async(report, **RUN)
        assert str(caught.value).startswith(f"field 'score': {words}")
        assert "hunter2" not in str(caught.value)


async def test_lazy_fields_are_fetched_when_asked_for() -> None:
    store = MemoryStore()
    doc = Doc(text=field("a" * 5_000), more=[field("b" * 5_000)])
    moved = await offloader(store).offload_async(doc, **RUN)
    store.requests.clear()
    lazy = await offloader(store).restore_async(moved, lazy=True)
    assert lazy.text.is_offloaded
    assert not store.requests
    loaded = await within(asyncio.gather(lazy.text.load(), lazy.text.load()))
    assert loaded == ["a" * 5_000] * 2
    assert store.requests.total() == 1
    assert (lazy.text.is_offloaded, lazy.text == moved.text) == (True, True)
    assert await offloader(store).offload_async(lazy, **RUN) is lazy


class Reversing:
    """A stand-in for encryption."""

    def encode_field_blob(self, data: bytes, *, namespace: str, run_id: str) -> bytes:
        return namespace.encode() + run_id.encode() + data[::-1]

    def decode_field_blob(self, blob: bytes) -> bytes:
        return blob.removeprefix(b"acmerun-1")[::-1]

    field_cipher = NO_CIPHER


async def test_what_is_stored_can_be_sealed() -> None:
    store = MemoryStore()
    config = FieldOffloadingConfig(
        storage_config=BlobStorageConfig(bucket_name="b"), min_size_bytes=0
    )
    offloader = FieldOffloader(config, store=store, blob_codec=Reversing())
    moved = await offloader.offload_async(Doc(text=field("abc")), **RUN)
    assert store.get(moved.text.blob_ref) == b'acmerun-1"cba"'
    assert moved.text.size_bytes == 5
    assert (await offloader.restore_async(moved)).text.get_value() == "abc"
