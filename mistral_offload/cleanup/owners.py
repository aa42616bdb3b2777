"""Owners of blobs, read from their keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from urllib.parse import quote, unquote

from mistral_offload.errors import ReferenceRefusedError
from mistral_offload.payload.field_reference import FIELD_ROOT, FieldReference
from mistral_offload.payload.reference import PAYLOAD_ROOT, UNOWNED, Reference
from mistral_offload.storage.store import BlobStore


class OwnerKind(str, Enum):
    """The kind of id that identifies an owner."""

    EXECUTION = "execution"
    """An execution id, which is Temporal's workflow id; the owner of payloads."""

    RUN = "run"
    """The id of one run of an execution; the owner of activity fields."""

    UNOWNED = "unowned"
    """No id: payloads for which Temporal names no execution."""


_ROOTS = {
    OwnerKind.EXECUTION: PAYLOAD_ROOT,
    OwnerKind.UNOWNED: PAYLOAD_ROOT,
    OwnerKind.RUN: FIELD_ROOT,
}


@dataclass(frozen=True, slots=True)
class Owner:
    """The execution or run that a blob was written for.

    Attributes:
        namespace: its namespace.
        kind: the kind of id.
        id: the id; empty for unowned payloads.
    """

    namespace: str
    kind: OwnerKind
    id: str

    @classmethod
    def of(cls, key: str) -> Owner | None:
        """Read the owner from a key, given without the prefix of the store.

        Returns:
            None for a key that the platform would not write exactly like this: it is not ours.
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
        if root == PAYLOAD_ROOT and id == UNOWNED:
            return cls(unquote(namespace), OwnerKind.UNOWNED, "")
        kind = OwnerKind.EXECUTION if root == PAYLOAD_ROOT else OwnerKind.RUN
        return cls(unquote(namespace), kind, unquote(id))

    @property
    def label(self) -> str:
        """Kind and id as text; "no execution" for unowned payloads."""
        return "no execution" if self.kind is OwnerKind.UNOWNED else f"{self.kind.value} {self.id}"

    @property
    def member(self) -> dict[str, str | None]:
        """The owner in a JSON document; ``{"execution": null}`` for unowned payloads."""
        if self.kind is OwnerKind.UNOWNED:
            return {OwnerKind.EXECUTION.value: None}
        return {self.kind.value: self.id}

    @property
    def key_prefix(self) -> str:
        """The common beginning of the keys of its blobs, and of no others."""
        segment = UNOWNED if self.kind is OwnerKind.UNOWNED else quote(self.id, safe="")
        return f"{_ROOTS[self.kind]}/{quote(self.namespace, safe='')}/{segment}/"


@dataclass(frozen=True, slots=True)
class Blob:
    """A payload or activity field in a store.

    Attributes:
        store: the store without its prefix, so that its keys are those of the bucket.
        key: the key in the bucket, prefix included.
        size: in bytes.
        modified: the time of the write. Putting a blob that exists does not change it.
        owner: the execution or run it was written for.
    """

    store: BlobStore
    key: str
    size: int
    modified: datetime
    owner: Owner
