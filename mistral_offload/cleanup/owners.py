"""Whose a blob is: its key says so."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from urllib.parse import quote, unquote

from mistral_offload.errors import ReferenceRefusedError
from mistral_offload.payload.field_reference import FIELD_ROOT, FieldReference
from mistral_offload.payload.reference import PAYLOAD_ROOT, Reference
from mistral_offload.storage.store import BlobStore


class OwnerKind(str, Enum):
    """What the id of an owner is."""

    EXECUTION = "execution"
    """An execution id, which is Temporal's workflow id: payloads."""

    RUN = "run"
    """The id of one of its runs: activity fields."""


_ROOTS = {OwnerKind.EXECUTION: PAYLOAD_ROOT, OwnerKind.RUN: FIELD_ROOT}


@dataclass(frozen=True, slots=True)
class Owner:
    """An execution or a run that blobs were written for."""

    namespace: str
    kind: OwnerKind
    id: str

    @classmethod
    def of(cls, key: str) -> Owner | None:
        """The owner of the blob under a key, without the prefix of the store.

        None for a key that this platform does not write, in any detail: it belongs to others.
        """
        root, _, rest = key.partition("/")
        try:
            if root == PAYLOAD_ROOT:
                Reference.from_key(key)
            else:
                FieldReference.from_key(key)
        except ReferenceRefusedError:
            return None
        namespace, id, _ = rest.split("/", 2)
        kind = OwnerKind.EXECUTION if root == PAYLOAD_ROOT else OwnerKind.RUN
        return cls(unquote(namespace), kind, unquote(id))

    @property
    def start(self) -> str:
        """What the keys of its blobs begin with, and no others."""
        names = "/".join(quote(name, safe="") for name in (self.namespace, self.id))
        return f"{_ROOTS[self.kind]}/{names}/"


@dataclass(frozen=True, slots=True)
class Blob:
    """A blob of ours.

    Attributes:
        store: where it is; without a prefix, so that its keys are those of the bucket.
        key: as the bucket has it, prefix included.
        size: in bytes.
        modified: when it was written. One that was there already keeps its time.
        owner: whose it is.
    """

    store: BlobStore
    key: str
    size: int
    modified: datetime
    owner: Owner
