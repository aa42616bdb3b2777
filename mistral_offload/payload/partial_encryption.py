"""Encryption of the marked fields of a JSON payload, the rest staying readable.

A marked field is the object ``{"field_type": "__encrypted_str__", "data": "<text>"}``, wherever it
stands. Encrypting replaces ``data`` by base64; the JSON around it is written again as the official
client does: compact, UTF-8, numbers as Python spells them. Payloads without a marked field, and
payloads that are not JSON, are left as they are.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Iterator
from typing import Any, Literal, cast

from pydantic import BaseModel, Field

from mistral_offload.errors import (
    EncryptionNotConfiguredError,
    PayloadDecodeError,
    PayloadEncryptionError,
)
from mistral_offload.payload.encryption import Cipher
from mistral_offload.payload.jsontext import load_json

MARKER = "__encrypted_str__"
PATCH_MARKER = "__encrypted__"


class EncryptedStrField(BaseModel):
    """A text that partial encryption hides: ``EncryptedStrField(data="secret")``.

    Receivers read it from ``.data``. It travels in the clear when no encryption is configured.
    """

    field_type: Literal["__encrypted_str__"] = "__encrypted_str__"
    data: str = Field(repr=False)


def encrypt_marked(data: bytes, cipher: Cipher) -> bytes | None:
    """Encrypt the marked fields of JSON text; None when it has none.

    Raises:
        PayloadEncryptionError: a marked field has no text as ``data``, or the JSON is nested too
            deeply, or holds too long a number, to be searched.
    """
    document = _read_if_marked(data, PayloadEncryptionError)
    found = False
    for field in _marked(document):
        text = field.get("data")
        if not isinstance(text, str):
            raise PayloadEncryptionError(
                f"a field marked {MARKER!r} needs text as its data, "
                + (f"not {type(text).__name__}" if "data" in field else "and has none")
            )
        sealed = cipher.encrypt(text.encode(errors="surrogatepass"))
        field["data"] = binascii.b2a_base64(sealed, newline=False).decode()
        found = True
    return _write(document) if found else None


def decrypt_marked(data: bytes, cipher: Cipher | None) -> bytes:
    """Undo `encrypt_marked`; the markers stay. Without a marked field no cipher is needed.

    Raises:
        EncryptionNotConfiguredError: there is a marked field, but no cipher.
        PayloadDecryptionError: no key fits, or a field was changed.
        PayloadDecodeError: a marked field is not what encrypting leaves.
    """
    document = _read_if_marked(data, PayloadDecodeError)
    found = False
    for field in _marked(document):
        field["data"] = _as_text(_open(field.get("data"), cipher))
        found = True
    return _write(document) if found else data


def decrypt_patches(patches: list[Any], cipher: Cipher | None) -> list[Any]:
    """Undo the partial encryption of an event's JSON patches, leaving the given list as it is.

    Such a patch has ``{"type": "__encrypted__", "value": "<base64>"}`` as its value, which stands
    for the JSON encrypted in it.

    Raises:
        EncryptionNotConfiguredError: a value is encrypted, but there is no cipher.
        PayloadDecryptionError: no key fits, or a value was changed.
        PayloadDecodeError: a value is not what encrypting leaves.
    """
    opened: list[Any] = []
    for patch in patches:
        members = _members(patch)
        value = _members(members.get("value"))
        if value.get("type") == PATCH_MARKER:
            opened.append({**members, "value": load_json(_open(value.get("value"), cipher))})
        else:
            opened.append(patch)
    return opened


def _members(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _read_if_marked(data: bytes, error_class: type[Exception]) -> Any:
    """The document, or None when it cannot hold a marked field."""
    if MARKER.encode() not in data and not _could_hide(data):
        return None  # reading and writing costs twenty times this look
    try:
        return json.loads(data)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    except (ValueError, RecursionError) as error:  # what Python's reader does not take, others may
        raise error_class(
            f"{len(data):,} bytes of JSON cannot be searched for marked fields: they are nested "
            "too deeply, or hold a number of thousands of digits"
        ) from error


def _could_hide(data: bytes) -> bool:
    """Whether escapes, or the zero bytes of UTF-16, may spell a marker that is not seen."""
    # Looking for one byte first, because that is many times faster than for two.
    return b"\0" in data or (b"\\" in data and b"\\u" in data)


def _marked(document: Any) -> Iterator[dict[str, Any]]:
    """The marked fields, in document order; what is inside of one is its own business."""
    pending: list[Any] = [document]
    while pending:
        value = pending.pop()
        if isinstance(value, list):
            pending.extend(reversed(cast("list[object]", value)))
            continue
        members = _members(value)
        if members.get("field_type") == MARKER:
            yield members
        else:
            pending.extend(reversed(members.values()))


def _open(text: object, cipher: Cipher | None) -> bytes:
    if not isinstance(text, str):
        raise PayloadDecodeError("a field marked as encrypted holds no text to decrypt")
    if cipher is None:
        raise EncryptionNotConfiguredError(NOT_CONFIGURED)
    try:
        sealed = binascii.a2b_base64(text)
    except ValueError as error:
        raise PayloadDecodeError(f"an encrypted field is not base64: {error}") from error
    return cipher.decrypt(sealed)


def _as_text(data: bytes) -> str:
    try:
        return data.decode(errors="surrogatepass")
    except UnicodeDecodeError:
        raise PayloadDecodeError("a decrypted field is not UTF-8 text") from None


def _write(document: Any) -> bytes:
    text = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
    return text.encode(errors="backslashreplace")  # that is how JSON spells lone surrogates


NOT_CONFIGURED = (
    "an encrypted payload arrived, but no encryption is configured here: give the keys it was "
    "encrypted with (client: workflow_payload_encryption=…, worker: TEMPORAL_PAYLOAD_ENCRYPTION__…)"
)
