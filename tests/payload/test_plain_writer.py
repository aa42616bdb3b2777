"""Plain values are written by orjson where it is installed, in the form of pydantic's text."""

from __future__ import annotations

import math
import sys
from collections import OrderedDict
from enum import Enum, IntEnum
from typing import Any, NamedTuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic_core import to_json

from mistral_offload.errors import PayloadSerializationError
from mistral_offload.limits import INLINE_WORK_BYTES
from mistral_offload.payload import plain_writer
from mistral_offload.payload.held_text import HeldText, bytes_of, size_of
from mistral_offload.payload.jsontext import dump_json, hold_json
from mistral_offload.payload.plain_writer import write_plain

NAN, INF = math.nan, math.inf


class Kind(str, Enum):
    A = "a"


class Odd(Enum):
    NOTHING = None
    LOST = NAN
    PAIR = (1, 2)


class Number(IntEnum):
    ONE = 1


class Text(str):
    pass


class Pair(NamedTuple):
    a: int
    b: int


SCALARS = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(-(2**64), 2**65)
    | st.floats()
    | st.text(st.characters(codec="utf-8"))
    | st.sampled_from([*Kind, *Odd, *Number, UUID(int=7), Text("null"), Pair(1, 2), "null", b"x"])
)
KEYS = st.text(st.characters(codec="utf-8"), max_size=5) | st.sampled_from(
    ["null", '":null', "\\", Text("a"), Kind.A, 1, None]
)
VALUES = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner) | st.dictionaries(KEYS, inner) | st.lists(inner, max_size=3).map(tuple)
    ),
)


def written(data: bytes | None) -> bytes | None:
    """Return JSON text with exponents in the form of older versions of pydantic."""
    return None if data is None else data.replace(b"e+", b"e")


@given(VALUES)
def test_writes_what_pydantic_writes(value: Any) -> None:
    assert written(write_plain(value)) in (None, written(to_json(value)))


@given(st.lists(st.fixed_dictionaries({"a": SCALARS, "b": SCALARS}), min_size=65, max_size=70))
def test_writes_tables_as_pydantic_does(value: Any) -> None:
    assert written(write_plain(value)) in (None, written(to_json(value)))


ROWS = [{"id": number, "amount": number / 7, "note": None} for number in range(1000)]


@pytest.mark.parametrize(
    "value",
    [
        "text",
        [],
        {},
        [1, None, 2.5],
        ROWS,
        {"rows": ROWS, "total": None},
        [{"other": None}, *ROWS, {"note": "x"}],
        {str(number): row for number, row in enumerate(ROWS)},
        ([None] * 1000, {"a": {"b": [None]}}),
        {"kind": Kind.A, "id": UUID(int=7)},
        [2**64 - 1, -(2**63)],
    ],
)
def test_values_that_orjson_writes(value: Any) -> None:
    assert write_plain(value) == to_json(value)


@pytest.mark.parametrize("number", [NAN, INF, -INF])
@pytest.mark.parametrize("place", [0, 500, 999])
@pytest.mark.parametrize("key", ["note", "amount", "new"])
def test_a_number_that_is_not_finite_is_never_written_as_null(
    number: float, place: int, key: str
) -> None:
    rows = [*ROWS]
    rows[place] = {**rows[place], key: number}
    for value in (rows, {"rows": rows}, [rows, None], {"rows": {str(place): rows[place]}}):
        assert write_plain(value) is None
        assert dump_json(value) == to_json(value)


@pytest.mark.parametrize(
    "value",
    [
        1,
        None,
        2.5,
        NAN,
        b"x",
        "\ud800",
        [2**64],
        {1: 2},
        {Kind.A: 1},
        {Text("a"): 1},
        [Text("a")],
        OrderedDict(a=1),
        [Pair(1, 2)],
        {1, 2},
        [Odd.LOST],
        ["null"],
    ],
)
def test_values_left_to_pydantic(value: Any) -> None:
    assert write_plain(value) is None


def nested(levels: int, innermost: Any = 1, *, by_key: bool) -> Any:
    value = innermost
    for _ in range(levels):
        value = {"a": value} if by_key else [value]
    return value


@pytest.mark.parametrize("by_key", [True, False])
def test_the_deepest_value_that_can_be_read(by_key: bool) -> None:
    # Some versions do not count an empty list or dict.
    deepest = [
        nested(199, by_key=by_key),
        nested(200, by_key=by_key),
        nested(199, [], by_key=by_key),
    ]
    assert write_plain(deepest[0]) == to_json(deepest[0])
    for value in deepest:
        assert write_plain(value) in (None, to_json(value))
        assert dump_json(value) == to_json(value)
    for levels in (201, 254, 300, 5000):
        for innermost in (1, [], {}):
            value = nested(levels - (innermost != 1), innermost, by_key=by_key)
            assert write_plain(value) is None
            with pytest.raises(PayloadSerializationError, match="nested"):
                dump_json(value)


def test_a_value_that_contains_itself() -> None:
    value: list[Any] = [1]
    value.append(value)
    assert write_plain(value) is None


def test_without_orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orjson", None)
    plain_writer._writer.cache_clear()
    try:
        assert write_plain(ROWS) is None
        assert dump_json(ROWS) == to_json(ROWS)
    finally:
        monkeypatch.undo()
        plain_writer._writer.cache_clear()
    assert write_plain(ROWS) is not None


def test_an_orjson_that_overwrites_memory_is_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("orjson.__version__", "3.11.5")
    plain_writer._writer.cache_clear()
    try:
        assert write_plain(ROWS) is None
    finally:
        monkeypatch.undo()
        plain_writer._writer.cache_clear()


ALPHABETS = {
    "ascii": "x",
    "escapes": 'a"\\/',
    "control characters": "".join(map(chr, range(0x20))) + "\x7f",
    "latin": "Zürich",
    "wide": "漢字\u2028\ufffe",
    "astral": "😀x",
    "mixed": 'é"漢😀\n\0',
    "null": "null,",
}


@pytest.mark.parametrize("alphabet", ALPHABETS.values(), ids=ALPHABETS)
@pytest.mark.parametrize("difference", [-1, 0, 1, 10_000])
def test_a_held_text_is_what_pydantic_writes(alphabet: str, difference: int) -> None:
    text = alphabet * (INLINE_WORK_BYTES // len(to_json(alphabet)))
    text += "x" * (INLINE_WORK_BYTES + difference - len(to_json(text)))
    expected = to_json(text)
    assert len(expected) == INLINE_WORK_BYTES + difference
    held = hold_json(text)
    assert isinstance(held, HeldText) == (difference >= 0)
    assert size_of(held) == len(expected)
    assert [bytes_of(held) for _ in range(3)] == [expected] * 3


@given(st.text(min_size=1, max_size=20))
def test_any_large_text_is_held_as_it_is_written_or_refused(part: str) -> None:
    text = part * (INLINE_WORK_BYTES // len(part) + 1)
    try:
        expected = to_json(text)
    except UnicodeEncodeError:  # a lone surrogate
        with pytest.raises(PayloadSerializationError):
            hold_json(text)
        return
    held = hold_json(text)
    assert (size_of(held), bytes_of(held)) == (len(expected), expected)


@pytest.mark.parametrize("surrogate", [0xD800, 0xDFFF])
@pytest.mark.parametrize("kind", [str, list, dict])
def test_a_lone_surrogate_is_refused_when_the_value_is_held(surrogate: int, kind: type) -> None:
    text = "x" * INLINE_WORK_BYTES + chr(surrogate)
    with pytest.raises(PayloadSerializationError):
        hold_json({str: text, list: [text], dict: {text: 1}}[kind])


@pytest.mark.parametrize(
    "value",
    [
        [*ROWS, *ROWS],
        {"rows": [*ROWS, *ROWS]},
        ([*ROWS, *ROWS],),
        ["x" * INLINE_WORK_BYTES],
        nested(199, "x" * INLINE_WORK_BYTES, by_key=True),
    ],
)
def test_a_held_value_may_change(value: Any) -> None:
    expected = to_json(value)
    held = hold_json(value)
    assert isinstance(held, HeldText)
    inner = value[0] if isinstance(value, tuple) else value
    inner.clear()
    assert held.size == len(expected)
    assert held.write() == expected
    assert held.write() is held.write()  # and nothing else is kept


@pytest.mark.parametrize("number", [NAN, INF, -INF])
def test_a_large_value_with_a_number_that_is_not_finite(number: float) -> None:
    value = [*ROWS, *ROWS, {"amount": number}]
    assert bytes_of(hold_json(value)) == to_json(value)


def test_values_are_held_without_orjson(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "orjson", None)
    plain_writer._writer.cache_clear()
    try:
        for value in ("x" * INLINE_WORK_BYTES, [*ROWS, *ROWS]):
            assert hold_json(value) == to_json(value)
    finally:
        monkeypatch.undo()
        plain_writer._writer.cache_clear()


def test_a_held_text_does_not_show_its_value() -> None:
    held = hold_json("secret" * INLINE_WORK_BYTES)
    assert "secret" not in repr(held)
