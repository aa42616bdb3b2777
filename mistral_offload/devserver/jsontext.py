"""Splits and compacts JSON text without converting numbers, which would lose digits."""

from __future__ import annotations

import json
import re

# Numbers stay text: they are not used, and an integer may be longer than Python converts.
_SCANNER = json.JSONDecoder(parse_int=str, parse_float=str)
_SPACE = re.compile(r"[ \t\n\r]*")
_STRING = re.compile(r'("[^"\\]*(?:\\.[^"\\]*)*")')
_WITHOUT_SPACE = str.maketrans("", "", " \t\n\r")


def split_members(text: str) -> dict[str, str]:
    """Split a JSON object into its members; values are returned as they are in the text.

    Raises:
        ValueError: the text is not one JSON object.
    """
    members: dict[str, str] = {}
    at = _expect("{", text, 0)
    if text[at : at + 1] == "}":
        return _end(members, text, at)
    while True:
        if text[at : at + 1] != '"':
            raise json.JSONDecodeError("Expecting property name in double quotes", text, at)
        name, at = _scan(text, at)
        start = _expect(":", text, at)
        _, at = _scan(text, start)
        members[str(name)] = text[start:at]
        at = _skip(text, at)
        if text[at : at + 1] == "}":
            return _end(members, text, at)
        at = _expect(",", text, at)


def split_elements(text: str, *, most: int) -> list[str]:
    """Split a JSON list into its elements, as they are in the text.

    Args:
        text: the list.
        most: the most elements to split.

    Raises:
        ValueError: the text is not one JSON list.
        OverflowError: it has more elements than ``most``.
    """
    elements: list[str] = []
    at = _expect("[", text, 0)
    if text[at : at + 1] == "]":
        at += 1
    else:
        while True:
            if len(elements) == most:
                raise OverflowError(most)
            start = at
            _, at = _scan(text, start)
            elements.append(text[start:at])
            at = _skip(text, at)
            if text[at : at + 1] == "]":
                at += 1
                break
            at = _expect(",", text, at)
    at = _skip(text, at)
    if at != len(text):
        raise json.JSONDecodeError("Extra data", text, at)
    return elements


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


def _end(members: dict[str, str], text: str, at: int) -> dict[str, str]:
    at = _skip(text, at + 1)
    if at != len(text):
        raise json.JSONDecodeError("Extra data", text, at)
    return members


def _skip(text: str, at: int) -> int:
    space = _SPACE.match(text, at)
    return space.end() if space else at
