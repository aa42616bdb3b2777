"""The steps a payload goes through, in their order, there and back; blocking.

Encoding: encrypt marked fields → compress → [encrypt the blob →] offload → encrypt what remains.
Every step is optional, and those taken are recorded; decoding walks the record from last to first,
whatever is configured here.
"""

from __future__ import annotations

from mistral_offload.config import (
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
)
from mistral_offload.errors import EncryptionNotConfiguredError, PayloadDecodeError
from mistral_offload.limits import DEFAULT_DECOMPRESSED_LIMIT_BYTES, MAX_TRANSFORMS
from mistral_offload.payload import compression as zstd
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.description import describe
from mistral_offload.payload.encoded import EncodedPayload, EncodingOption
from mistral_offload.payload.encryption import OVERHEAD_BYTES, Cipher
from mistral_offload.payload.offloading import Offloader, fetch
from mistral_offload.payload.partial_encryption import (
    NOT_CONFIGURED,
    decrypt_marked,
    encrypt_marked,
)
from mistral_offload.storage.store import BlobStore


class PayloadSteps:
    """Does what one configuration says to payloads, and undoes what others did.

    Raises:
        MissingExtraError: what a configuration needs is not installed.
    """

    def __init__(
        self,
        offloading: PayloadOffloadingConfig | None = None,
        *,
        encryption: PayloadEncryptionConfig | None = None,
        compression: PayloadCompressionConfig | None = None,
        store: BlobStore | None = None,
        largest_bytes: int | None = None,
    ) -> None:
        self._description = describe(offloading, encryption, compression)
        self._offloader = (
            None
            if offloading is None
            else Offloader(offloading, store, largest_bytes=largest_bytes)
        )
        unpacked = (
            DEFAULT_DECOMPRESSED_LIMIT_BYTES
            if compression is None
            else compression.max_decompressed_bytes
        )
        self._largest_unpacked = unpacked if largest_bytes is None else min(unpacked, largest_bytes)
        self._encryption = encryption
        self._cipher = None if encryption is None else Cipher(encryption)
        self._compression = compression
        if compression is not None:
            zstd.require_extra()

    @property
    def offloads(self) -> bool:
        """Whether large payloads go to a store."""
        return self._offloader is not None

    @property
    def encrypts_whole(self) -> bool:
        """Whether payloads are encrypted as a whole, so that nothing of them can be read."""
        return self._encryption is not None and self._encryption.is_full

    @property
    def compresses(self) -> bool:
        """Whether a payload may become much smaller than it was."""
        return self._compression is not None

    @property
    def is_configured(self) -> bool:
        """Whether there is anything that it would do to a payload."""
        return self.offloads or self._changes

    @property
    def description(self) -> str:
        """What it does, in words for a log."""
        return self._description

    def encode(
        self,
        data: bytes,
        context: PayloadContext | None,
        *,
        offload: bool | None = None,
        has_json: bool = True,
        floor: int | None = None,
        write: bool = True,
    ) -> EncodedPayload:
        """Encode payload bytes.

        Args:
            data: the payload, normally JSON text.
            context: the execution the payload belongs to; without one nothing is offloaded.
            offload: True whatever the size, False never, None by size.
            has_json: whether fields of the data may be marked.
            floor: from which size it goes, when that is less than the configuration says.
            write: False to make a reference without storing the blob, which is there already.

        Raises:
            PayloadEncryptionError: a field is marked to be encrypted, but cannot be.
            StorageError: the blob could not be written.
        """
        options: list[EncodingOption] = []
        if self._cipher is not None and not self.encrypts_whole and has_json:
            marked = encrypt_marked(data, self._cipher)
            if marked is not None:
                data = marked
                options.append(EncodingOption.ENCRYPTED_PARTIAL)
        if self._compression is not None:
            smaller = zstd.compress(data, self._compression)
            if smaller is not None:
                data = smaller
                options.append(EncodingOption.COMPRESSED)
        offloader = self._takes_away(len(data), offload, floor)
        if offloader is not None and context is not None:
            if self._cipher is not None and self._encrypts_blobs:
                data = self._cipher.encrypt_blob(
                    data, namespace=context.namespace, execution_id=context.execution_id
                )
                options.append(EncodingOption.ENCRYPTED)
            data = offloader.put(data, context, write=write)
            options.append(EncodingOption.OFFLOADED)
        if self._cipher is not None and self.encrypts_whole:
            data = self._cipher.encrypt(data)
            options.append(EncodingOption.ENCRYPTED)
        return EncodedPayload(data, tuple(options))

    def decode(self, payload: EncodedPayload, *, namespace: str | None = None) -> bytes:
        """Undo the recorded transforms, last first.

        Args:
            payload: what was encoded.
            namespace: the one whose blobs it may refer to; any, if not given.

        Raises:
            OffloadingNotConfiguredError: it is a reference, and no storage is configured.
            EncryptionNotConfiguredError: it is encrypted, and no keys are configured.
            PayloadDecryptionError: no key fits, or the bytes were changed.
            PayloadDecompressionError: it is not what was compressed, or larger than allowed.
            PayloadDecodeError: the bytes are not what the options say.
            ReferenceRefusedError: the reference names a key it may not name.
            PayloadTooLargeError: the blob is larger than this encoder reads.
            BlobNotFoundError: the blob is gone, or was never written to this storage.
            BlobCorruptedError: the blob is not what was offloaded.
            StorageError: the blob could not be read.
        """
        if len(payload.options) > MAX_TRANSFORMS:
            raise PayloadDecodeError(
                f"a payload is marked with {len(payload.options)} transforms; at most "
                f"{MAX_TRANSFORMS} are undone"
            )
        data = payload.data
        for option in reversed(payload.options):
            data = self._undo(option, data, namespace)
        return data

    @property
    def _changes(self) -> bool:
        """Whether payloads are encrypted or compressed."""
        return self._cipher is not None or self._compression is not None

    @property
    def _encrypts_blobs(self) -> bool:
        return self._encryption is not None and self._encryption.blobs

    def _takes_away(self, size: int, offload: bool | None, floor: int | None) -> Offloader | None:
        """What a payload of this size goes to, if it goes."""
        overhead = OVERHEAD_BYTES if self.encrypts_whole else 0
        if self._offloader and self._offloader.takes(size, offload, overhead=overhead, floor=floor):
            return self._offloader
        return None

    def _undo(self, option: EncodingOption, data: bytes, namespace: str | None) -> bytes:
        if option is EncodingOption.OFFLOADED:
            return fetch(data, self._offloader, namespace)
        if option is EncodingOption.ENCRYPTED_PARTIAL:
            return decrypt_marked(data, self._cipher)
        if option is EncodingOption.COMPRESSED:
            return zstd.decompress(data, limit=self._largest_unpacked)
        if self._cipher is None:
            raise EncryptionNotConfiguredError(NOT_CONFIGURED)
        return self._cipher.decrypt(data)
