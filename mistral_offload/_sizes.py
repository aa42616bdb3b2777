"""Sizes in settings: a number of bytes, or a text with a unit such as ``1MB`` or ``1MiB``."""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated, Any

from pydantic import BeforeValidator

_UNITS = {"b": 1} | {
    f"{letter}{suffix}": base**power
    for power, letter in enumerate("kmgt", start=1)
    for suffix, base in (("b", 1000), ("ib", 1024))
}
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{1,18})?)[ _]?([A-Za-z]+)")
_HAS_LETTER = re.compile("[A-Za-z]")


def parse_size(value: Any) -> Any:
    """Return the bytes of a size with a unit; any other value is returned unchanged.

    Units are B, kB, MB, GB and TB (powers of 1000) and KiB, MiB, GiB and TiB (powers of 1024), in
    upper or lower case.

    Raises:
        ValueError: the text has a unit that does not exist, or is not a whole number of bytes.
    """
    if not isinstance(value, str) or not _HAS_LETTER.search(value):
        return value
    found = _SIZE.fullmatch(value.strip())
    unit = _UNITS.get(found[2].lower()) if found else None
    if found is None or unit is None:
        raise ValueError("not a size: give bytes, or a unit as in 500kB, 1.5MB or 1MiB")
    size = Decimal(found[1]) * unit
    if size != int(size):
        raise ValueError("not a size: it is not a whole number of bytes")
    return int(size)


def require_size(text: str, name: str) -> int:
    """Return the bytes of a size written as digits or with a unit.

    Args:
        text: the size.
        name: name of the setting, for the error.

    Raises:
        ValueError: the text is no size.
    """
    try:
        return int(parse_size(text))
    except ValueError:
        raise ValueError(
            f"{name} {text!r} is not a size: give bytes, or a unit as in 500kB, 1.5MB or 1MiB"
        ) from None


ByteSize = Annotated[int, BeforeValidator(parse_size)]
"""A size in bytes; a text with a unit is accepted as well."""
