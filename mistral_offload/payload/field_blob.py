"""Format of an encrypted activity field's blob: a fixed header, then the ciphertext.

No text in any encoding begins with the header's first byte. So a reader that does not know this
format fails to parse it as JSON, rather than reading a wrong value.
"""

from __future__ import annotations

from mistral_offload.errors import EncryptionNotConfiguredError
from mistral_offload.payload.encryption import Cipher
from mistral_offload.payload.partial_encryption import NOT_CONFIGURED

HEADER = b"\x89mistral-offload encrypted field 1\n"


def seal_field(data: bytes, cipher: Cipher, *, namespace: str, run_id: str) -> bytes:
    """Encrypt the content of a workflow run's field.

    Raises:
        PayloadEncryptionError: the content is larger than 2 GiB.
    """
    return HEADER + cipher.encrypt_blob(data, namespace=namespace, execution_id=run_id)


def open_field(blob: bytes, cipher: Cipher | None) -> bytes:
    """Decrypt a blob that `seal_field` returned; return a blob that is not encrypted unchanged.

    Raises:
        EncryptionNotConfiguredError: the blob is encrypted, but there is no cipher.
        PayloadDecryptionError: no key decrypts it, or it was changed.
    """
    if not blob.startswith(HEADER):
        return blob
    if cipher is None:
        raise EncryptionNotConfiguredError(NOT_CONFIGURED)
    return cipher.decrypt(blob[len(HEADER) :])
