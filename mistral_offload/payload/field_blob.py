"""The blob of an encrypted activity field.

A fixed beginning, then the ciphertext. No text in any encoding begins with that first byte, so a
reader who does not know this form finds no JSON in it, rather than a wrong value.
"""

from __future__ import annotations

from mistral_offload.errors import EncryptionNotConfiguredError
from mistral_offload.payload.encryption import Cipher
from mistral_offload.payload.partial_encryption import NOT_CONFIGURED

HEADER = b"\x89mistral-offload encrypted field 1\n"


def seal_field(data: bytes, cipher: Cipher, *, namespace: str, run_id: str) -> bytes:
    """Encrypt the content of a field that belongs to a workflow run.

    Raises:
        PayloadEncryptionError: more than 2 GiB.
    """
    return HEADER + cipher.encrypt_blob(data, namespace=namespace, execution_id=run_id)


def open_field(blob: bytes, cipher: Cipher | None) -> bytes:
    """Undo `seal_field`; a blob that is not encrypted is returned as it is.

    Raises:
        EncryptionNotConfiguredError: it is encrypted, but there is no cipher.
        PayloadDecryptionError: no key fits, or the blob was changed.
    """
    if not blob.startswith(HEADER):
        return blob
    if cipher is None:
        raise EncryptionNotConfiguredError(NOT_CONFIGURED)
    return cipher.decrypt(blob[len(HEADER) :])
