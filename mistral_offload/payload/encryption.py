"""AES-GCM in the platform's format: 12 bytes of nonce, the ciphertext, 16 bytes of tag.

The first key encrypts. Decryption tries every key in order, so that payloads encrypted with a
replaced key stay readable. Needs the extra ``encryption``.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from typing import TYPE_CHECKING

from mistral_offload.config import PayloadEncryptionConfig
from mistral_offload.errors import (
    MissingExtraError,
    PayloadDecryptionError,
    PayloadEncryptionError,
)
from mistral_offload.payload.reference import UNOWNED

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.ciphers.aead import AESGCM

NONCE_BYTES = 12
TAG_BYTES = 16
OVERHEAD_BYTES = NONCE_BYTES + TAG_BYTES
"""Bytes that encryption adds."""

_LARGEST_BYTES = 2**31 - 1
_NONCE_KEY_LABEL = b"mistral-offload:blob-nonce"
_CHUNK_NONCE_KEY_LABEL = b"mistral-offload:chunk-nonce"


def new_nonce() -> bytes:
    """Return 12 random bytes; never use them twice with one key."""
    return os.urandom(NONCE_BYTES)


class Cipher:
    """Encrypts with the main key, decrypts with any key; safe to share between threads.

    Raises:
        MissingExtraError: the extra ``encryption`` is not installed.
    """

    def __init__(self, config: PayloadEncryptionConfig) -> None:
        self._aes_gcm = _load_aes_gcm()
        self._keys = config.keys
        self._nonce_key = hmac.digest(self._keys[0], _NONCE_KEY_LABEL, "sha256")
        self._chunk_nonce_key = hmac.digest(self._keys[0], _CHUNK_NONCE_KEY_LABEL, "sha256")

    def encrypt(self, data: bytes) -> bytes:
        """Encrypt bytes with a random nonce; the same bytes give a different result every time.

        Raises:
            PayloadEncryptionError: more than 2 GiB, the limit of AES-GCM for one piece.
        """
        return self._seal(new_nonce(), data)

    def encrypt_blob(self, data: bytes, *, namespace: str, execution_id: str | None) -> bytes:
        """Encrypt bytes for the store; deterministic within one execution, or among unowned ones.

        The nonce is a keyed digest of execution and content instead of a random number. So a value
        that is encoded again, by a retry, a replay or a fan-out, gives the same blob, but a
        different one in another execution.

        Raises:
            PayloadEncryptionError: more than 2 GiB, the limit of AES-GCM for one piece.
        """
        owner = UNOWNED if execution_id is None else execution_id
        scope = [name.encode(errors="surrogatepass") for name in (namespace, owner)]
        digest = hmac.new(self._nonce_key, digestmod=hashlib.sha256)
        for name in scope:
            digest.update(len(name).to_bytes(4, "big") + name)
        digest.update(data)
        return self._seal(digest.digest()[:NONCE_BYTES], data)

    def encrypt_chunk(self, data: bytes, *, scope: str, position: bytes) -> bytes:
        """Encrypt one chunk of a file; deterministic within a scope.

        The position is authenticated, so a chunk can be decrypted only where it belongs. It is part
        of what the nonce is a digest of: a nonce must not occur with two positions.

        Args:
            data: the chunk.
            scope: the beginning of the file's keys.
            position: where the chunk belongs, and whether it is the last one.
        """
        digest = hmac.new(self._chunk_nonce_key, digestmod=hashlib.sha256)
        for part in (scope.encode(), position):
            digest.update(len(part).to_bytes(4, "big") + part)
        digest.update(data)
        return self._seal(digest.digest()[:NONCE_BYTES], data, position)

    def decrypt_chunk(self, data: bytes, *, position: bytes) -> bytes:
        """Decrypt what `encrypt_chunk` returned, at the same position.

        Raises:
            PayloadDecryptionError: no key decrypts it, it was changed, or belongs elsewhere.
        """
        return self._decrypt(data, position)

    def decrypt(self, data: bytes) -> bytes:
        """Decrypt what `encrypt` or `encrypt_blob` returned.

        Raises:
            PayloadDecryptionError: no key decrypts the bytes, or they were changed or truncated.
        """
        return self._decrypt(data, None)

    def _decrypt(self, data: bytes, associated: bytes | None) -> bytes:
        if len(data) < OVERHEAD_BYTES:
            raise PayloadDecryptionError(
                f"{len(data)} bytes are too few for an encrypted payload: nonce and tag alone have "
                f"{OVERHEAD_BYTES} bytes"
            )
        for key in self._keys:
            opened = self._open(key, data, associated)
            if opened is not None:
                return opened
        number = "the one key" if len(self._keys) == 1 else f"any of the {len(self._keys)} keys"
        error = PayloadDecryptionError(
            f"{len(data):,} encrypted bytes cannot be decrypted with {number} configured here: "
            "they were encrypted with another key (put a replaced one into secondary_key or "
            "retired_keys), or were changed in transit"
        )
        error.needs_other_key = True
        raise error

    def _seal(self, nonce: bytes, data: bytes, associated: bytes | None = None) -> bytes:
        if len(data) > _LARGEST_BYTES:
            raise PayloadEncryptionError(
                f"{len(data):,} bytes cannot be encrypted in one piece; the limit is "
                f"{_LARGEST_BYTES:,} bytes: compress or split the payload"
            )
        return nonce + self._aes_gcm(self._keys[0]).encrypt(nonce, data, associated)

    def _open(self, key: bytes, data: bytes, associated: bytes | None) -> bytes | None:
        from cryptography.exceptions import InvalidTag

        try:
            return self._aes_gcm(key).decrypt(
                data[:NONCE_BYTES], memoryview(data)[NONCE_BYTES:], associated
            )
        except (InvalidTag, OverflowError):
            return None


def _load_aes_gcm() -> type[AESGCM]:
    try:
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM
    except ImportError as error:
        raise MissingExtraError("payload encryption", "encryption") from error
    return AESGCM
