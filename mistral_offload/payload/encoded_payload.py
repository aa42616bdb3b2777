"""A payload together with the transforms it went through."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from mistral_offload.errors import PayloadDecodeError


class EncodingOption(str, Enum):
    """A transform of payload bytes, in the platform's spelling."""

    OFFLOADED = "offloaded"
    ENCRYPTED = "encrypted"
    ENCRYPTED_PARTIAL = "encrypted-partial"
    COMPRESSED = "compressed"


@dataclass(frozen=True, slots=True)
class EncodedPayload:
    """Payload bytes, and the transforms applied to them, first applied first."""

    data: bytes
    options: tuple[EncodingOption, ...] = ()

    @property
    def is_offloaded(self) -> bool:
        """Whether the bytes are a reference, possibly encrypted."""
        return EncodingOption.OFFLOADED in self.options


def parse_options(names: Iterable[str]) -> tuple[EncodingOption, ...]:
    """Read option names as the platform spells them.

    Raises:
        PayloadDecodeError: a name is unknown, so the payload cannot be undone.
    """
    options: list[EncodingOption] = []
    for name in names:
        try:
            options.append(EncodingOption(name))
        except ValueError:
            known = ", ".join(option.value for option in EncodingOption)
            raise PayloadDecodeError(
                f"unknown encoding option {name!r}; this version knows {known}"
            ) from None
    return tuple(options)
