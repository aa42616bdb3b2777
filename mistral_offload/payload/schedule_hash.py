"""Hash of a schedule's input, by which the platform detects that the input has changed.

The input itself may be encrypted, with a new nonce every time. The hash is computed from the plain
JSON with sorted keys. If encryption is configured it is keyed, so that inputs cannot be guessed by
comparing hashes.
"""

from __future__ import annotations

import hashlib
import hmac
import json

from mistral_offload.config import PayloadEncryptionConfig
from mistral_offload.errors import PayloadSerializationError

_KEY_LABEL = b"schedule-input-hash"


def schedule_input_hash(data: bytes, encryption: PayloadEncryptionConfig | None) -> str:
    """Return the hash of an input as 64 hex digits.

    Args:
        data: the input as JSON text, before any transform.
        encryption: if given, its main key is used to compute a keyed hash.

    Raises:
        PayloadSerializationError: the text is not JSON.
    """
    text = canonical_json(data)
    if encryption is None:
        return hashlib.sha256(text).hexdigest()
    key = hmac.digest(encryption.keys[0], _KEY_LABEL, "sha256")
    return hmac.digest(key, text, "sha256").hex()


def canonical_json(data: bytes) -> bytes:
    """Return the JSON in compact form, with keys in code point order and numbers as Python's.

    Raises:
        PayloadSerializationError: the text is not JSON.
    """
    try:
        value = json.loads(data)
        text = json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    except (ValueError, RecursionError) as error:
        raise PayloadSerializationError(
            f"the input of a schedule ({len(data):,} bytes) cannot be hashed: {error}"
        ) from error
    return text.encode(errors="backslashreplace")
