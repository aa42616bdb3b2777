"""Encryption of marked fields in a JSON payload; the rest stays readable.

A marked field is an object ``{"field_type": "__encrypted_str__", "data": "<text>"}`` anywhere in
the payload. Encryption replaces ``data`` by base64. The surrounding JSON is rewritten as by the
official client: compact, UTF-8, numbers as Python writes them. Payloads without a marked field, and
payloads that are not JSON, stay unchanged.
"""

from __future__ import annotations

import binascii
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Literal, cast

from pydantic import BaseModel, Field

from mistral_offload.errors import (
    EncryptionNotConfiguredError,
    PayloadDecodeError,
    PayloadEncryptionError,
)
from mistral_offload.payload.encryption import Cipher
from mistral_offload.payload.jsontext import dump_json, load_json

MARKER = "__encrypted_str__"
PATCH_MARKER = "__encrypted__"


class EncryptedStrField(BaseModel):
    """A string that partial encryption encrypts.

    It is sent in the clear if no encryption is configured.

    Example::

        class Login(BaseModel):
            user: str
            password: EncryptedStrField


        Login(user="ada", password=EncryptedStrField(data="secret"))
        login.password.data  # in the receiver
    """

    field_type: Literal["__encrypted_str__"] = "__encrypted_str__"
    data: str = Field(repr=False)


def encrypt_marked(data: bytes, cipher: Cipher) -> bytes | None:
    """Encrypt the marked fields of JSON text; return None if it has none.

    Raises:
        PayloadEncryptionError: ``data`` of a marked field is not text, or the JSON cannot be
            searched because it is nested too deeply or contains a number with too many digits.
    """
    document = _read_if_marked(data, PayloadEncryptionError)
    found = False
    for field in _marked(document):
        text = field.get("data")
        if not isinstance(text, str):
            raise PayloadEncryptionError(
                f"a field marked {MARKER!r} needs text as its data, "
                + (f"not {type(text).__name__}" if "data" in field else "but has none")
            )
        sealed = cipher.encrypt(text.encode(errors="surrogatepass"))
        field["data"] = binascii.b2a_base64(sealed, newline=False).decode()
        found = True
    return _write(document) if found else None


def decrypt_marked(data: bytes, cipher: Cipher | None) -> bytes:
    """Decrypt the marked fields of JSON text; the markers stay.

    Raises:
        EncryptionNotConfiguredError: there is a marked field, but no cipher.
        PayloadDecryptionError: no key decrypts a field, or it was changed.
        PayloadDecodeError: a marked field does not have the encrypted form.
    """
    document = _read_if_marked(data, PayloadDecodeError)
    found = False
    for field in _marked(document):
        field["data"] = _as_text(_open(field.get("data"), cipher))
        found = True
    return _write(document) if found else data


def encrypt_patches(
    patches: Sequence[Mapping[str, Any]], paths: Collection[str], cipher: Cipher
) -> list[dict[str, Any]] | None:
    """Encrypt the values of an event's JSON patches at some paths; return None if there is none.

    Raises:
        PayloadSerializationError: a value cannot be written as JSON.
    """
    if not any(patch.get("path") in paths and "value" in patch for patch in patches):
        return None
    sealed: list[dict[str, Any]] = []
    for patch in patches:
        members = dict(patch)
        if patch.get("path") in paths and "value" in patch:
            data = cipher.encrypt(dump_json(patch["value"]))
            text = binascii.b2a_base64(data, newline=False).decode()
            members["value"] = {"type": PATCH_MARKER, "value": text}
        sealed.append(members)
    return sealed


def decrypt_patches(patches: list[Any], cipher: Cipher | None) -> list[Any]:
    """Return an event's JSON patches with their encrypted values decrypted.

    The value of such a patch is ``{"type": "__encrypted__", "value": "<base64>"}``, where the
    base64 is encrypted JSON. The given list stays unchanged.

    Raises:
        EncryptionNotConfiguredError: a value is encrypted, but there is no cipher.
        PayloadDecryptionError: no key decrypts a value, or it was changed.
        PayloadDecodeError: a value does not have the encrypted form.
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
    """Parse the JSON; return None if it is not JSON or cannot contain a marked field."""
    if MARKER.encode() not in data and not _could_hide(data):
        return None  # parsing and writing costs twenty times as much as this check
    try:
        return json.loads(data)
    except (json.JSONDecodeError, UnicodeDecodeError):
        return None
    except (ValueError, RecursionError) as error:  # other readers may accept it
        raise error_class(
            f"{len(data):,} bytes of JSON cannot be searched for marked fields: they are nested "
            "too deeply, or contain a number with thousands of digits"
        ) from error


def _could_hide(data: bytes) -> bool:
    """Return True if escapes, or the zero bytes of UTF-16, could hide a marker."""
    # Search for one byte first, which is many times faster than for two.
    return b"\0" in data or (b"\\" in data and b"\\u" in data)


def _marked(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the marked fields in document order, without searching inside of them."""
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
        raise PayloadDecodeError("a field marked as encrypted has no text to decrypt")
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
    return text.encode(errors="backslashreplace")  # the JSON escapes of lone surrogates


NOT_CONFIGURED = (
    "an encrypted payload arrived, but no encryption is configured here: configure the keys it was "
    "encrypted with (client: workflow_payload_encryption=…, worker: TEMPORAL_PAYLOAD_ENCRYPTION__…)"
)
