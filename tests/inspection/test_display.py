"""Values formatted for people."""

from __future__ import annotations

import json

import pytest

from mistral_offload.inspection.display import Form, show_bytes, show_value


def test_json_is_indented() -> None:
    shown = show_value(b'{"a":[1,2],"b":"\xc3\xbc"}', limit=None)
    assert (shown.form, shown.is_truncated) == (Form.JSON, False)
    assert shown.text == '{\n  "a": [\n    1,\n    2\n  ],\n  "b": "ü"\n}'
    assert shown.value == {"a": [1, 2], "b": "ü"}


@pytest.mark.parametrize("limit", range(1, 20))
def test_truncation_counts_bytes_and_keeps_characters_whole(limit: int) -> None:
    shown = show_value('["€€€€"]'.encode(), limit=limit)
    whole = json.dumps(["€€€€"], indent=2, ensure_ascii=False)
    assert whole.startswith(shown.text)
    assert limit - 3 < len(shown.text.encode()) <= limit
    assert shown.is_truncated


def test_a_value_that_just_fits_is_not_truncated() -> None:
    assert not show_value(b'"abc"', limit=5).is_truncated
    assert show_value(b'"abc"', limit=4).is_truncated


@pytest.mark.parametrize("data", [b"plain text", b"", b"[" * 100_000, b'"\\ud800"', b'{"a": 1'])
def test_text(data: bytes) -> None:
    shown = show_value(data, limit=None)
    assert (shown.form, shown.text) == (Form.TEXT, data.decode())


@pytest.mark.parametrize("digits", [10, 10_000])
def test_long_numbers(digits: int) -> None:
    shown = show_value(b"1" * digits, limit=None)
    assert shown.text == "1" * digits


def test_bytes_in_hex_digits() -> None:
    shown = show_value(b"\x89PNG\r\n\x1a\n" + b"\xff" * 1000, limit=8000)
    assert (shown.form, shown.is_truncated) == (Form.BYTES, True)
    first, *others = shown.text.splitlines()
    assert first == ("00000000  89 50 4e 47 0d 0a 1a 0a ff ff ff ff ff ff ff ff  .PNG............")
    assert len(others) == 15
    assert not show_value(b"\xff" * 256, limit=8000).is_truncated
    assert len(show_bytes(b"\xff" * 1024, limit=None).text.splitlines()) == 64
