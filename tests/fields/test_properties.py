"""Round trips of any value pydantic can carry: equal on return, and the original unchanged."""

from __future__ import annotations

import asyncio
import copy
from dataclasses import dataclass
from datetime import date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Generic, TypeVar
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field, TypeAdapter

from mistral_offload.config import BlobStorageConfig, FieldOffloadingConfig
from mistral_offload.errors import StorageUnavailableError
from mistral_offload.fields.field import OffloadableField, OffloadableModel
from mistral_offload.fields.offloader import FieldOffloader
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.payload.traversal import find_instances
from mistral_offload.storage import MemoryStore

T = TypeVar("T")

RUN = {"namespace": "acme", "run_id": "run-1"}


class Speaker(BaseModel):
    name: str = Field(alias="fullName")
    born: date | None = None
    tags: set[str] = set()
    share: Decimal = Decimal(0)


class Inner(BaseModel):
    note: OffloadableField[str]
    raw: OffloadableField[bytes] | None = None


@dataclass
class Part:
    number: int
    data: OffloadableField[bytes]


class Box(OffloadableModel, Generic[T]):
    held: OffloadableField[T]


class Everything(OffloadableModel):
    title: str
    text: OffloadableField[str] = Field(alias="theText")
    data: OffloadableField[bytes]
    count: OffloadableField[int]
    price: OffloadableField[Decimal]
    share: OffloadableField[float]
    at: OffloadableField[datetime]
    lasts: OffloadableField[timedelta]
    uid: OffloadableField[UUID]
    numbers: OffloadableField[list[int]]
    table: OffloadableField[dict[str, list[float]]]
    pair: OffloadableField[tuple[int, str]]
    speaker: OffloadableField[Speaker]
    speakers: OffloadableField[list[Speaker]]
    either: OffloadableField[int | str | bytes]
    perhaps: OffloadableField[str | None]
    anything: OffloadableField[Any]
    optional: OffloadableField[bytes] | None = None
    inner: Inner
    inners: list[Inner]
    several: list[OffloadableField[str]]
    named: dict[str, OffloadableField[bytes]]
    parts: list[Part]
    box: Box[Decimal]
    deep: OffloadableField[Inner]


texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
blobs = st.binary(max_size=20)
whole = st.integers(min_value=-(2**200), max_value=2**200)
decimals = st.decimals(allow_nan=False, allow_infinity=False)
floats = st.floats(allow_nan=False, width=64)
times = st.datetimes(timezones=st.just(timezone.utc)) | st.datetimes()
speakers = st.builds(
    lambda name, born, tags, share: Speaker(fullName=name, born=born, tags=tags, share=share),
    texts,
    st.none() | st.dates(),
    st.sets(texts, max_size=3),
    decimals,
)
json_values = st.recursive(
    st.none() | st.booleans() | whole | texts,
    lambda children: st.lists(children, max_size=3) | st.dictionaries(texts, children, max_size=3),
    max_leaves=5,
)


def field(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.builds(lambda value: OffloadableField(value=value), values)


inners = st.builds(Inner, note=field(texts), raw=st.none() | field(blobs))
everything = st.builds(
    Everything,
    title=texts,
    theText=field(texts),
    data=field(blobs),
    count=field(whole),
    price=field(decimals),
    share=field(floats),
    at=field(times),
    lasts=field(st.timedeltas(timedelta(days=-900), timedelta(days=900))),
    uid=field(st.uuids()),
    numbers=field(st.lists(whole, max_size=4)),
    table=field(st.dictionaries(texts, st.lists(floats, max_size=3), max_size=3)),
    pair=field(st.tuples(whole, texts)),
    speaker=field(speakers),
    speakers=field(st.lists(speakers, max_size=2)),
    either=field(whole | texts | blobs),
    perhaps=field(st.none() | texts),
    anything=field(json_values),
    optional=st.none() | field(blobs),
    inner=inners,
    inners=st.lists(inners, max_size=2),
    several=st.lists(field(texts), max_size=3),
    named=st.dictionaries(texts, field(blobs), max_size=3),
    parts=st.lists(st.builds(Part, whole, field(blobs)), max_size=2),
    box=st.builds(Box[Decimal], held=field(decimals)),
    deep=field(inners),
)
sizes = st.sampled_from([0, 1, 200, 500, 1_000, 1_500, 1_000_000])


def make_offloader(store: MemoryStore, min_size_bytes: int) -> FieldOffloader:
    config = FieldOffloadingConfig(
        storage_config=BlobStorageConfig(bucket_name="b"), min_size_bytes=min_size_bytes
    )
    return FieldOffloader(config, store=store)


def travel(value: Any, annotation: Any = None) -> Any:
    """Send a value through JSON, as between two workers."""
    return TypeAdapter(annotation or type(value)).validate_json(dump_json(value))


@settings(deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow])
@given(model=everything, min_size_bytes=sizes)
def test_what_comes_back_is_what_went_in(model: Everything, min_size_bytes: int) -> None:
    async def there_and_back() -> None:
        before = copy.deepcopy(model)
        with MemoryStore() as store:
            offloader = make_offloader(store, min_size_bytes)
            offloaded = await offloader.offload_async(model, **RUN)
            size = len(dump_json(offloaded))
            arrived = travel(offloaded)
            references = copy.deepcopy(arrived)
            restored = await offloader.restore_async(arrived)
        assert model == before
        assert arrived == references
        assert restored == model
        assert not any(
            found.is_offloaded for _, found in find_instances(restored, OffloadableField)
        )
        movable = [
            found.size_bytes or 0
            for _, found in find_instances(offloaded, OffloadableField)
            if not found.is_offloaded
        ]
        assert size < max(min_size_bytes, 1) or max(movable, default=0) < 256
        if min_size_bytes == 0:
            assert not any(movable)

    asyncio.run(there_and_back())


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(model=everything)
def test_in_place_as_in_the_store(model: Everything) -> None:
    assert travel(model) == model


@settings(deadline=None, max_examples=40)
@given(
    value=st.lists(st.tuples(whole, field(blobs)), max_size=3)
    | st.dictionaries(texts, st.lists(field(texts), max_size=2), max_size=3)
    | field(blobs)
)
def test_outside_of_models(value: Any) -> None:
    async def there_and_back() -> None:
        before = copy.deepcopy(value)
        with MemoryStore() as store:
            offloader = make_offloader(store, 0)
            offloaded = await offloader.offload_async(value, **RUN)
            assert value == before
            assert dump_json(offloaded) is not None
            assert await offloader.restore_async(offloaded) == value

    asyncio.run(there_and_back())


class BrokenStore(MemoryStore):
    """Accepts the given number of blobs, then fails."""

    def __init__(self, working_puts: int) -> None:
        super().__init__()
        self._left = working_puts

    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        if self._left == 0:
            raise StorageUnavailableError("no answer", provider="memory", container="m", key=key)
        self._left -= 1
        return super()._put(key, data, sha256, overwrite)


@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(model=everything, working_puts=st.integers(min_value=0, max_value=5))
def test_nothing_is_changed_when_the_upload_fails(model: Everything, working_puts: int) -> None:
    async def fail() -> None:
        before = copy.deepcopy(model)
        with BrokenStore(working_puts) as store, pytest.raises(StorageUnavailableError):
            await make_offloader(store, 0).offload_async(model, **RUN)
        assert model == before

    asyncio.run(fail())
