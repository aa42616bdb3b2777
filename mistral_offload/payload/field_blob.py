"""Encryption of activity fields and files.

An encrypted field, or manifest of a file, is a fixed header and then the ciphertext. No text in any
encoding begins with the header's first byte. So a reader that does not know this format fails to
parse it as JSON, rather than reading a wrong value.

A file is encrypted in chunks, each by itself, with its position and whether it is the last one as
associated data: the STREAM construction (Hoang, Reyhanitabar, Rogaway and Vizár, 2015), as in Tink
and age. There the position is in the nonce; here the nonce is a keyed digest of position and
content, so that a chunk that is written again gives the same object.
"""

from __future__ import annotations

from mistral_offload.errors import EncryptionNotConfiguredError
from mistral_offload.payload.encryption import Cipher
from mistral_offload.payload.partial_encryption import NOT_CONFIGURED

HEADER = b"\x89mistral-offload encrypted field 1\n"
_CHUNK_LABEL = b"mistral-offload encrypted chunk 1\n"


class FieldCipher:
    """Encrypts fields and the chunks of files, and decrypts them; safe to share between threads.

    Args:
        cipher: the cipher, or None if there are no keys.
        encrypts: True if what is written is encrypted.
    """

    def __init__(self, cipher: Cipher | None, *, encrypts: bool) -> None:
        self._cipher = cipher
        self.encrypts = encrypts and cipher is not None

    def seal(self, data: bytes, *, namespace: str, run_id: str) -> bytes:
        """Encrypt the content of a workflow run's field.

        Raises:
            EncryptionNotConfiguredError: there are no keys.
            PayloadEncryptionError: the content is larger than 2 GiB.
        """
        cipher = self._require_cipher()
        return HEADER + cipher.encrypt_blob(data, namespace=namespace, execution_id=run_id)

    def open(self, blob: bytes) -> bytes:
        """Decrypt a blob that `seal` returned; return one that is not encrypted unchanged.

        Raises:
            EncryptionNotConfiguredError: the blob is encrypted, but there are no keys.
            PayloadDecryptionError: no key decrypts it, or it was changed.
        """
        if not blob.startswith(HEADER):
            return blob
        return self._require_cipher().decrypt(blob[len(HEADER) :])

    def seal_chunk(
        self, data: bytes, *, scope: str, chunk_bytes: int, index: int, last: bool
    ) -> bytes:
        """Encrypt a chunk of a file; within one scope the same chunk gives the same bytes.

        Args:
            data: the content of the chunk.
            scope: the beginning of the file's keys.
            chunk_bytes: the size of all chunks but the last.
            index: the chunk's number, from 0 on.
            last: True for the last chunk.

        Raises:
            EncryptionNotConfiguredError: there are no keys.
        """
        position = _position(chunk_bytes, index, last=last)
        return self._require_cipher().encrypt_chunk(data, scope=scope, position=position)

    def open_chunk(self, blob: bytes, *, chunk_bytes: int, index: int, last: bool) -> bytes:
        """Decrypt what `seal_chunk` returned for the same chunk.

        Raises:
            EncryptionNotConfiguredError: there are no keys.
            PayloadDecryptionError: no key decrypts it, it was changed, or belongs elsewhere.
        """
        position = _position(chunk_bytes, index, last=last)
        return self._require_cipher().decrypt_chunk(blob, position=position)

    def _require_cipher(self) -> Cipher:
        if self._cipher is None:
            raise EncryptionNotConfiguredError(NOT_CONFIGURED)
        return self._cipher


NO_CIPHER = FieldCipher(None, encrypts=False)
"""Writes in the clear, and reads nothing that is encrypted."""


def _position(chunk_bytes: int, index: int, *, last: bool) -> bytes:
    return _CHUNK_LABEL + chunk_bytes.to_bytes(8, "big") + index.to_bytes(8, "big") + bytes([last])
