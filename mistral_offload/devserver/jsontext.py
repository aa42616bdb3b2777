"""Splits and compacts JSON text without converting numbers, which would lose digits."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass


class Number(str):
    """The text of a number; an integer may be longer than Python converts."""


@dataclass(frozen=True, slots=True)
class Scanned:
    """A value of a JSON text, parsed, and as it is in the text; numbers are `Number`."""

    value: object
    text: str


_SCANNER = json.JSONDecoder(parse_int=Number, parse_float=Number)
_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")')
_WITHOUT_SPACE = str.maketrans("", "", " \t\n\r")


def split_members(text: str) -> dict[str, str]:
    """Split a JSON object into its members; values are returned as they are in the text.

    Raises:
        ValueError: the text is not one JSON object.
    """
    return {name: text[start:end] for name, _, start, end in _members(text)}


def scan_members(text: str) -> dict[str, Scanned]:
    """Split a JSON object into its members, and parse them in the same pass.

    Raises:
        ValueError: the text is not one JSON object.
    """
    return {name: Scanned(value, text[start:end]) for name, value, start, end in _members(text)}


def scan_elements(text: str, *, most: int) -> list[Scanned]:
    """Split a JSON list into its elements, and parse them in the same pass.

    Args:
        text: the list.
        most: the most elements to split.

    Raises:
        ValueError: the text is not one JSON list.
        OverflowError: it has more elements than ``most``.
    """
    elements: list[Scanned] = []
    at = _expect("[", text, 0)
    if text[at : at + 1] == "]":
        at += 1
    else:
        while True:
            if len(elements) == most:
                raise OverflowError(most)
            start = at
            value, at = _scan(text, start)
            elements.append(Scanned(value, text[start:at]))
            at = _skip(text, at)
            if text[at : at + 1] == "]":
                at += 1
                break
            at = _expect(",", text, at)
    at = _skip(text, at)
    if at != len(text):
        raise json.JSONDecodeError("Extra data", text, at)
    return elements


def on_one_line(text: str) -> str:
    """Return JSON without line breaks, which can only be between its tokens."""
    return compact(text) if "\n" in text or "\r" in text else text


def compact(text: str) -> str:
    """Remove whitespace between the tokens of JSON; numbers and strings keep their spelling."""
    parts = _STRING.split(text)
    parts[::2] = [between.translate(_WITHOUT_SPACE) for between in parts[::2]]
    return "".join(parts)


def is_json(text: bytes) -> bool:
    """Return True if the bytes are one JSON value."""
    try:
        decoded = text.decode()
        _, at = _scan(decoded, _skip(decoded, 0))
    except ValueError:
        return False
    return _skip(decoded, at) == len(decoded)


def _members(text: str) -> Iterator[tuple[str, object, int, int]]:
    """Yield name and value of each member of a JSON object, and the bounds of the value's text."""
    at = _expect("{", text, 0)
    if text[at : at + 1] == "}":
        return _end(text, at)
    while True:
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("Expecting property name in double quotes", text, at)
        name, at = _scan(text, at)
        start = _expect(":", text, at)
        value, at = _scan(text, start)
        yield str(name), value, start, at
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            return _end(text, at)
        at = _expect(",", text, at)


def _scan(text: str, at: int) -> tuple[object, int]:
    try:
        return _SCANNER.raw_decode(text, at)
    except RecursionError as error:
        raise json.JSONDecodeError("Nested too deeply", text, at) from error


def _expect(mark: str, text: str, at: int) -> int:
    at = _skip(text, at)
    if text[at : at + 1] != mark:
        raise json.JSONDecodeError(f"Expecting {mark!r}", text, at)
    return _skip(text, at + 1)


def _end(text: str, at: int) -> None:
    at = _skip(text, at + 1)
    if at != len(text):
        raise json.JSONDecodeError("Extra data", text, at)


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
