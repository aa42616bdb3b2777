"""Undoes the transforms of a payload one by one, with a note on each. No I/O; blocking.

The recorded options are followed where they are known. A key of the bucket does not include them,
so there the transforms are detected from the content. Encoders encrypt marked fields first, then
compress, then encrypt the whole: bytes that are neither text nor a compressed payload are taken to
be encrypted.
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
"""First bytes of a msgpack map; no UTF-8 text begins with one of them."""


@dataclass(frozen=True, slots=True)
class Transform:
    """One transform of a payload.

    Attributes:
        name: the platform's name for it.
        detail: a description, such as the compression level or the name of the key.
        size: bytes of its output.
    """

    name: str
    detail: str
    size: int


@dataclass(frozen=True, slots=True)
class Decoded:
    """The result of undoing transforms.

    Attributes:
        data: the value; after an error, the bytes that could not be decoded further.
        transforms: those found, first applied first.
        error: the reason why decoding stopped.
    """

    data: bytes
    transforms: tuple[Transform, ...] = ()
    error: MistralOffloadError | None = None


class TransformDecoder:
    """Undoes transforms with the configured keys.

    Args:
        encryption: the keys; None if there are none.
        largest_bytes: limit of the size to which compressed content may unpack.

    Raises:
        MissingExtraError: keys are configured, and the extra ``encryption`` is not installed.
    """

    def __init__(self, encryption: PayloadEncryptionConfig | None, *, largest_bytes: int) -> None:
        self._keyring = Keyring(encryption)
        self._largest_bytes = largest_bytes

    def decode(self, data: bytes, options: Sequence[EncodingOption]) -> Decoded:
        """Undo recorded transforms, last first, down to the value or a reference."""
        decoded = Decoded(data)
        if len(options) > MAX_TRANSFORMS:
            error = PayloadDecodeError(
                f"a payload is marked with {len(options)} transforms; the limit is {MAX_TRANSFORMS}"
            )
            return Decoded(data, (), error)
        for option in reversed(options):
            if decoded.error is not None or option is EncodingOption.OFFLOADED:
                break
            decoded = self._undo(decoded, option)
        return decoded

    def detect_and_decode(self, blob: bytes) -> Decoded:
        """Detect transforms from the bytes themselves, and undo them."""
        decoded = Decoded(blob)
        for option in _OUTERMOST_FIRST:
            if decoded.error is None and _DETECTORS[option](decoded.data):
                decoded = self._undo(decoded, option)
        return decoded

    def decode_field(self, blob: bytes) -> Decoded:
        """Decrypt the blob of an activity field if its header marks it as encrypted."""
        if not blob.startswith(HEADER):
            return Decoded(blob)
        return self._undo(Decoded(blob), EncodingOption.ENCRYPTED, skip=len(HEADER))

    def _undo(self, decoded: Decoded, option: EncodingOption, *, skip: int = 0) -> Decoded:
        size = len(decoded.data)
        try:
            data, detail = self._apply_inverse(decoded.data[skip:], option)
        except MistralOffloadError as error:
            found = Transform(option.value, "not decoded", size)
            return Decoded(decoded.data, (found, *decoded.transforms), error)
        return Decoded(data, (Transform(option.value, detail, size), *decoded.transforms))

    def _apply_inverse(self, data: bytes, option: EncodingOption) -> tuple[bytes, str]:
        if option is EncodingOption.COMPRESSED:
            unpacked = zstd.decompress(data, limit=self._largest_bytes)
            return unpacked, zstd.describe_envelope(data)
        if option is EncodingOption.ENCRYPTED_PARTIAL:
            decrypted, name = self._keyring.decrypt_marked(data)
        else:
            decrypted, name = self._keyring.decrypt(data)
        return decrypted, f"decrypted with {name}"


def is_text(data: bytes) -> bool:
    """Return True if bytes are UTF-8 text, as values are and encrypted bytes are not."""
    try:
        data.decode()
    except UnicodeDecodeError:
        return False
    return True


def _is_compressed(data: bytes) -> bool:
    if not data or data[0] not in _MAPS:
        return False
    try:
        zstd.describe_envelope(data)
    except PayloadDecompressionError:
        return False
    return True


def _is_encrypted(data: bytes) -> bool:
    return not is_text(data) and not _is_compressed(data)


def _has_marked_fields(data: bytes) -> bool:
    # A marked field is plain text if its writer had no encryption configured. No key decrypts it
    # then, and the error says so.
    return MARKER.encode() in data and is_text(data)


_DETECTORS = {
    EncodingOption.ENCRYPTED: _is_encrypted,
    EncodingOption.COMPRESSED: _is_compressed,
    EncodingOption.ENCRYPTED_PARTIAL: _has_marked_fields,
}
