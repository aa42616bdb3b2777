"""Payload bytes together with the transforms applied to them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from mistral_offload.errors import PayloadDecodeError


class EncodingOption(str, Enum):
    """A transform of payload bytes; the values are the platform's names."""

    OFFLOADED = "offloaded"
    ENCRYPTED = "encrypted"
    ENCRYPTED_PARTIAL = "encrypted-partial"
    COMPRESSED = "compressed"


@dataclass(frozen=True, slots=True)
class EncodedPayload:
    """Payload bytes, and the transforms applied to them in order of application."""

    data: bytes
    options: tuple[EncodingOption, ...] = ()

    @property
    def is_offloaded(self) -> bool:
        """True if the bytes are a reference, possibly encrypted."""
        return EncodingOption.OFFLOADED in self.options


def parse_options(names: Iterable[str]) -> tuple[EncodingOption, ...]:
    """Parse the platform's names of encoding options.

    Raises:
        PayloadDecodeError: a name is unknown, so the payload cannot be decoded.
    """
    options: list[EncodingOption] = []
    for name in names:
        try:
            options.append(EncodingOption(name))
        except ValueError:
            known = ", ".join(option.value for option in EncodingOption)
            raise PayloadDecodeError(
                f"unknown encoding option {name!r}; this version supports {known}"
            ) from None
    return tuple(options)
