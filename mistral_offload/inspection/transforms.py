"""The transforms of a payload undone one by one, with a note of each. No I/O; blocking.

Where a payload's options are known they are followed. A key of the bucket tells none of them, so
there the content itself is looked at. Encoders encrypt last, and compress what has marked fields
already: what is neither text nor a compressed payload is taken for encrypted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mistral_offload.config import PayloadEncryptionConfig
from mistral_offload.errors import (
    MistralOffloadError,
    PayloadDecodeError,
    PayloadDecompressionError,
)
from mistral_offload.inspection.keyring import Keyring
from mistral_offload.limits import MAX_TRANSFORMS
from mistral_offload.payload import compression as zstd
from mistral_offload.payload.encoded_payload import EncodingOption
from mistral_offload.payload.field_blob import HEADER
from mistral_offload.payload.partial_encryption import MARKER

_OUTERMOST_FIRST = (
    EncodingOption.ENCRYPTED,
    EncodingOption.COMPRESSED,
    EncodingOption.ENCRYPTED_PARTIAL,
)
_MAPS = (*range(0x80, 0x90), 0xDE, 0xDF)
"""What a msgpack map may begin with; no text in UTF-8 begins with one of these bytes."""


@dataclass(frozen=True, slots=True)
class Transform:
    """One transform, as it was found.

    Attributes:
        name: the platform's.
        detail: how it was done, in words.
        size: of what it made, in bytes.
    """

    name: str
    detail: str
    size: int


@dataclass(frozen=True, slots=True)
class Undone:
    """How far transforms could be undone.

    Attributes:
        data: what is left: the value, unless there is an error.
        transforms: those found, first applied first.
        error: why it is not the value.
    """

    data: bytes
    transforms: tuple[Transform, ...] = ()
    error: MistralOffloadError | None = None


class Undoing:
    """Undoes transforms with the keys that are configured.

    Args:
        encryption: the keys, if there are any.
        largest_bytes: to how many bytes compressed content may unpack.

    Raises:
        MissingExtraError: keys are configured, and the extra ``encryption`` is not installed.
    """

    def __init__(self, encryption: PayloadEncryptionConfig | None, *, largest_bytes: int) -> None:
        self._keyring = Keyring(encryption)
        self._largest_bytes = largest_bytes

    def follow(self, data: bytes, options: Sequence[EncodingOption]) -> Undone:
        """Undo what is recorded, last first, down to a reference if there is one."""
        undone = Undone(data)
        if len(options) > MAX_TRANSFORMS:
            error = PayloadDecodeError(
                f"a payload is marked with {len(options)} transforms; at most {MAX_TRANSFORMS} are "
                "undone"
            )
            return Undone(data, (), error)
        for option in reversed(options):
            if undone.error is not None or option is EncodingOption.OFFLOADED:
                break
            undone = self._undo(undone, option)
        return undone

    def explore(self, blob: bytes) -> Undone:
        """Find out from the bytes what was done to them, and undo it."""
        undone = Undone(blob)
        for option in _OUTERMOST_FIRST:
            if undone.error is None and _RECOGNISED[option](undone.data):
                undone = self._undo(undone, option)
        return undone

    def open_field(self, blob: bytes) -> Undone:
        """Undo what was done to an activity field; its beginning says so."""
        if not blob.startswith(HEADER):
            return Undone(blob)
        return self._undo(Undone(blob), EncodingOption.ENCRYPTED, skip=len(HEADER))

    def _undo(self, undone: Undone, option: EncodingOption, *, skip: int = 0) -> Undone:
        size = len(undone.data)
        try:
            data, detail = self._open(undone.data[skip:], option)
        except MistralOffloadError as error:
            found = Transform(option.value, "not undone", size)
            return Undone(undone.data, (found, *undone.transforms), error)
        return Undone(data, (Transform(option.value, detail, size), *undone.transforms))

    def _open(self, data: bytes, option: EncodingOption) -> tuple[bytes, str]:
        if option is EncodingOption.COMPRESSED:
            unpacked = zstd.decompress(data, limit=self._largest_bytes)
            return unpacked, zstd.describe_envelope(data)
        if option is EncodingOption.ENCRYPTED_PARTIAL:
            opened, name = self._keyring.open_marked(data)
        else:
            opened, name = self._keyring.open(data)
        return opened, f"opened with {name}"


def is_text(data: bytes) -> bool:
    """Whether bytes are text in UTF-8, as values are and encrypted bytes are not."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_packed(data: bytes) -> bool:
    if not data or data[0] not in _MAPS:
        return False
    try:
        zstd.describe_envelope(data)
    except PayloadDecompressionError:
        return False
    return True


def _is_sealed(data: bytes) -> bool:
    return not is_text(data) and not _is_packed(data)


def _has_marks(data: bytes) -> bool:
    # A marked field may be in the clear, as when no encryption was configured; then no key opens it
    # and the error says so.
    return MARKER.encode() in data and is_text(data)


_RECOGNISED = {
    EncodingOption.ENCRYPTED: _is_sealed,
    EncodingOption.COMPRESSED: _is_packed,
    EncodingOption.ENCRYPTED_PARTIAL: _has_marks,
}
