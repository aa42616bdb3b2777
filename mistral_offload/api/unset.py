"""``UNSET``: the value of a parameter that was not given."""

from __future__ import annotations

from enum import Enum


class Unset(Enum):
    """The type of ``UNSET``: a parameter that was not given, as opposed to an explicit null."""

    UNSET = "unset"


UNSET = Unset.UNSET
