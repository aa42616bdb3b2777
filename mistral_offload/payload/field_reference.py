"""Keys of offloaded activity fields.

Ours: ``temporal-activity-payload/<namespace>/<run id>/sha256:<hex digest of the blob>/<content>/
<field>``, content being ``json-<size>`` or ``bytes-<size>``: what was stored and its size are known
without a request, and an activity that runs twice writes one blob. The official SDK names its blobs
``…/<run id>/<uuid4>/<field>``; a reader fetches whatever key it is given, so both read both.
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import dataclass
from enum import Enum
from urllib.parse import quote, unquote

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
    """What the content of a field is written as."""

    JSON = "json"
    BYTES = "bytes"


@dataclass(frozen=True, slots=True)
class FieldReference:
    """Names one offloaded field.

    Attributes:
        key: storage key, without the prefix of the configuration.
        digest: SHA-256 of the blob in hex; None for a key that does not tell.
        form: what the content is written as; None for a key that does not tell.
        size: of the content, in bytes; None for a key that does not tell.
    """

    key: str
    digest: str | None = None
    form: ContentForm | None = None
    size: int | None = None

    @classmethod
    def of(
        cls, blob: bytes, *, namespace: str, run_id: str, field: str, form: ContentForm, size: int
    ) -> FieldReference:
        """The reference under which these bytes are kept for this workflow run."""
        digest = hashlib.sha256(blob).hexdigest()
        key = (
            f"{FIELD_ROOT}/{quote(namespace, safe='')}/{quote(run_id, safe='')}"
            f"/sha256:{digest}/{form.value}-{size}/{quote(field, safe='')}"
        )
        return cls(key, digest, form, size)

    @classmethod
    def from_key(cls, key: str) -> FieldReference:
        """Take a key apart, which is untrusted input.

        Raises:
            ReferenceRefusedError: the key is not that of an offloaded activity field.
        """
        match = _KEY.fullmatch(key) if key.isascii() else None
        if match is None:
            raise ReferenceRefusedError(
                f"refused to read key {key!r}: an activity field is kept under {FIELD_ROOT}/"
                "<namespace>/<run id>/<digest or uuid>/…, and no other key of the bucket may be "
                "named by a reference",
                key=key,
            )
        if any(quote(unquote(match[name]), safe="") != match[name] for name in _NAMES):
            raise ReferenceRefusedError(
                f"refused to read key {key!r}: its names are not percent-encoded in the one way "
                "this platform writes them",
                key=key,
            )
        form, size = match["form"], match["size"]
        return cls(
            key,
            match["digest"],
            ContentForm(form) if form else None,
            int(size) if size else None,
        )
