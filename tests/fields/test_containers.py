"""Fields in every kind of container that can be written as JSON."""

from __future__ import annotations

from collections import OrderedDict, UserList, defaultdict, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest
from pydantic import BaseModel, ConfigDict, RootModel, TypeAdapter
from pydantic.dataclasses import dataclass as pydantic_dataclass
from pydantic_core import PydanticSerializationError, to_json

from mistral_offload.fields.field import OffloadableField
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.payload.traversal import find_instances, map_instances
from mistral_offload.storage import MemoryStore
from tests.fields.test_offloader import RUN, offloader

Field = OffloadableField[str]


class Pair(NamedTuple):
    name: str
    text: Any


@dataclass(frozen=True, eq=False)
class Frozen:
    text: Any


@dataclass(slots=True)
class Slotted:
    text: Any


@pydantic_dataclass
class Validated:
    text: OffloadableField[str]


class Root(RootModel[OffloadableField[str]]):
    pass


class Queue(BaseModel):
    model_config = ConfigDict(arbitrary_types_allowed=True)
    waiting: deque[OffloadableField[str]]
    by_name: Mapping[str, OffloadableField[str]]


def defaulting(field: Field) -> defaultdict[str, Field]:
    found: defaultdict[str, Field] = defaultdict(lambda: OffloadableField(value=""))
    found["a"] = field
    return found


def writes_deques() -> bool:
    """Return True if this version of pydantic writes a deque outside a model."""
    try:
        return to_json(deque()) == b"[]"
    except PydanticSerializationError:
        return False


CONTAINERS: dict[str, Callable[[Field], Any]] = {
    "list": lambda field: [1, field],
    "tuple": lambda field: (1, field),
    "set of objects": lambda field: {Frozen(field)},
    "frozenset of objects": lambda field: frozenset([Frozen(field), 1]),
    "dict": lambda field: {"a": field, "b": 1},
    "OrderedDict": lambda field: OrderedDict(a=field, b=1),
    "defaultdict": defaulting,
    "NamedTuple": lambda field: Pair("n", field),
    "frozen dataclass": Frozen,
    "dataclass with slots": Slotted,
    "pydantic dataclass": Validated,
    "root model": Root,
    "model with a deque and a mapping": lambda field: Queue(
        waiting=deque([field]), by_name={"a": field}
    ),
}
if writes_deques():
    CONTAINERS["deque"] = lambda field: deque([1, field], maxlen=5)
    CONTAINERS["one in the other"] = lambda field: deque([{"a": (Pair("n", [field]),)}])


@pytest.mark.parametrize("make", CONTAINERS.values(), ids=list(CONTAINERS))
async def test_a_field_in_a_container_is_moved_and_restored(make: Callable[[Field], Any]) -> None:
    value = make(OffloadableField[str](value="x" * 3_000))
    store = MemoryStore()
    offloaded = await offloader(store).offload_async(value, **RUN)
    assert len(dump_json(offloaded)) < 700
    assert type(offloaded) is type(value)
    assert all(field.is_offloaded for _, field in find_instances(offloaded, OffloadableField))
    assert not any(field.is_offloaded for _, field in find_instances(value, OffloadableField))
    restored = await offloader(store).restore_async(offloaded)
    assert [field.value for _, field in find_instances(restored, OffloadableField)] == [
        field.value for _, field in find_instances(value, OffloadableField)
    ]


@pytest.mark.skipif(not writes_deques(), reason="an older pydantic writes no deque")
async def test_a_deque_that_was_read_is_restored() -> None:
    store = MemoryStore()
    value = deque([OffloadableField[str](value="x" * 3_000)])
    written = dump_json(await offloader(store).offload_async(value, **RUN))
    read = TypeAdapter(deque[OffloadableField[str]]).validate_json(written)
    restored = await offloader(store).restore_async(read)
    assert type(restored) is deque
    assert restored[0].get_value() == "x" * 3_000


@pytest.mark.parametrize(
    "make",
    [
        lambda field: MappingProxyType({"a": field}),
        lambda field: {"a": field}.values(),
        lambda field: UserList([field]),
    ],
    ids=["MappingProxyType", "dict_values", "UserList"],
)
def test_containers_that_cannot_be_copied_become_plain_ones(make: Callable[[Field], Any]) -> None:
    value = make(OffloadableField[str](value="x"))
    changed = map_instances(value, OffloadableField, lambda _, field: field.moved_to("k"))
    assert type(changed) in (list, dict)
    assert [field.blob_ref for _, field in find_instances(changed, OffloadableField)] == ["k"]
    assert map_instances(value, OffloadableField, lambda _, field: field) is value


def test_a_deque_keeps_its_bound_and_a_defaultdict_its_default() -> None:
    field = OffloadableField[str](value="x")
    moved = map_instances(
        deque([field], maxlen=5), OffloadableField, lambda _, each: each.moved_to("k")
    )
    assert moved.maxlen == 5
    moved = map_instances(defaulting(field), OffloadableField, lambda _, each: each.moved_to("k"))
    assert moved["missing"].value == ""


def test_texts_and_numbers_are_not_searched() -> None:
    class Text(str):
        __slots__ = ()

        def __iter__(self) -> Any:
            raise AssertionError

    for value in (Text("abc"), range(10**9), memoryview(b"abc"), bytearray(b"abc")):
        assert map_instances(value, OffloadableField, lambda _, field: field.moved_to("k")) is value
