"""Models that pydantic builds when they are first used, so that an import costs nothing."""

from __future__ import annotations

from typing import Final

from pydantic import VERSION

DEFER_BUILD: Final = tuple(int(part) for part in VERSION.split(".")[:2]) >= (2, 14)
"""Value of ``defer_build``. Older versions do not serialize a model that was validated as a part of
another one: ``to_json([response.items[0]])`` raises."""
