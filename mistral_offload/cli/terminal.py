r"""Foreign text on a terminal: characters that would steer it are shown as ``\uXXXX``."""

from __future__ import annotations

import re

# C0 (but newline and tab), C1, marks that turn the direction of text, line separators, and halves
# of surrogate pairs, which cannot be printed at all.
_STEERING = re.compile(
    "[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]"
)


def escape_controls(text: str) -> str:
    """The text with such characters escaped, which in a JSON document means the same."""
    return _STEERING.sub(lambda match: f"\\u{ord(match[0]):04x}", text)
