"""Keys of offloaded activity fields.

Ours: ``temporal-activity-payload/<namespace>/<run id>/sha256:<hex digest of the blob>/<content>/
<field>``, where content is ``json-<size>`` or ``bytes-<size>``. So form and size are known without
a request, and an activity that runs twice writes one blob. The official SDK's keys are
``…/<run id>/<uuid4>/<field>``; readers fetch the key they are given, so each SDK reads both.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote, unquote

from mistral_offload._digests import sha256_hex
from mistral_offload.errors import ReferenceRefusedError

FIELD_ROOT = "temporal-activity-payload"

_KEY = re.compile(
    rf"{FIELD_ROOT}/(?P<namespace>[^/]*)/(?P<run_id>[^/]*)"
    r"/(?:sha256:(?P<digest>[0-9a-f]{64})(?:/(?P<form>json|bytes)-(?P<size>0|[1-9][0-9]{0,17}))?"
    r"|[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12})"
    r"/(?P<field>[^/]+)"
)
_NAMES = ("namespace", "run_id", "field")


class ContentForm(str, Enum):
    """Format of a field's content."""

    JSON = "json"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class FieldReference:
    """Reference to an offloaded activity field.

    Attributes:
        key: storage key, without the prefix of the store.
        digest: SHA-256 of the blob in hex; None if the key does not contain it.
        form: format of the content; None if the key does not contain it.
        size: size of the content in bytes; None if the key does not contain it.
    """

    key: str
    digest: str | None = None
    form: ContentForm | None = None
    size: int | None = None

    @classmethod
    def of(
        cls, blob: bytes, *, namespace: str, run_id: str, field: str, form: ContentForm, size: int
    ) -> FieldReference:
        """Return the reference to a field's blob; ``size`` is that of the content in bytes."""
        digest = sha256_hex(blob)
        key = (
            f"{FIELD_ROOT}/{quote(namespace, safe='')}/{quote(run_id, safe='')}"
            f"/sha256:{digest}/{form.value}-{size}/{quote(field, safe='')}"
        )
        return cls(key, digest, form, size)

    @classmethod
    def from_key(cls, key: str) -> FieldReference:
        """Parse a key, which is untrusted input.

        Raises:
            ReferenceRefusedError: the key is not a key of an offloaded activity field.
        """
        match = _KEY.fullmatch(key) if key.isascii() else None
        if match is None:
            raise ReferenceRefusedError(
                f"refused to read key {key!r}: the reference of a field may only name a field, "
                f"{FIELD_ROOT}/<namespace>/<run id>/<digest or uuid>/…",
                key=key,
            )
        if any(quote(unquote(match[name]), safe="") != match[name] for name in _NAMES):
            raise ReferenceRefusedError(
                f"refused to read key {key!r}: its names are not percent-encoded as this platform "
                "encodes them",
                key=key,
            )
        form, size = match["form"], match["size"]
        return cls(
            key,
            match["digest"],
            ContentForm(form) if form else None,
            int(size) if size else None,
        )
