"""Splitting and compacting JSON without parsing its values."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mistral_offload.devserver.jsontext import (
    Number,
    Scanned,
    compact,
    is_json,
    on_one_line,
    scan_elements,
    scan_members,
    split_members,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)
INDENTS = st.sampled_from([None, 0, 3, "\t"])


@settings(max_examples=40)
@given(st.dictionaries(st.text(), VALUES), INDENTS, st.booleans())
def test_members_of_any_object(
    members: dict[str, object], indent: int | str | None, ascii: bool
) -> None:
    text = json.dumps(members, indent=indent, ensure_ascii=ascii)
    split = split_members(f" {text}\n")
    assert list(split) == list(members)
    assert {name: json.loads(value) for name, value in split.items()} == members


@settings(max_examples=40)
@given(VALUES, INDENTS, st.booleans())
def test_compact_is_the_same_without_blanks(
    value: object, indent: int | str | None, ascii: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=ascii)
    expected = json.dumps(value, separators=(",", ":"), ensure_ascii=ascii)
    assert compact(text) == expected
    assert is_json(text.encode())


def test_the_last_of_equal_names_wins() -> None:
    assert split_members('{"a":1,"a":2}') == {"a": "2"}


@pytest.mark.parametrize(
    "text",
    ["", " ", "x", "[]", "{", "{}x", '{"a"}', '{"a":}', '{"a":1', '{"a":1,}', "{1:1}", '{"a":1 2}'],
)
def test_texts_that_are_no_object(text: str) -> None:
    with pytest.raises(json.JSONDecodeError):
        split_members(text)


@pytest.mark.parametrize("text", [b"", b"{", b"1 2", b"\xff", b"nul", b"[" * 100_000])
def test_bytes_that_are_no_json(text: bytes) -> None:
    assert not is_json(text)


def test_members_are_parsed_in_the_same_pass() -> None:
    members = scan_members('{ "a": [1.50, {"b": "\\u00e9"}] , "c": 12345678901234567890 }')
    assert members["a"] == Scanned(["1.50", {"b": "é"}], '[1.50, {"b": "\\u00e9"}]')
    assert members["c"] == Scanned("12345678901234567890", "12345678901234567890")
    assert type(members["c"].value) is Number
    assert scan_elements("[ 1, [2] ]", most=2) == [Scanned("1", "1"), Scanned(["2"], "[2]")]
    with pytest.raises(OverflowError):
        scan_elements("[1,2,3]", most=2)


def test_only_text_on_several_lines_is_compacted() -> None:
    assert on_one_line('{"a": "b  c"}') == '{"a": "b  c"}'
    assert on_one_line('{"a":\r\n "b  c"}') == '{"a":"b  c"}'
