"""Owners of blobs, read from their keys."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import Enum
from urllib.parse import quote, unquote

from mistral_offload.errors import ReferenceRefusedError
from mistral_offload.files.reference import EXECUTION_MARK, is_file_key
from mistral_offload.payload.field_reference import FIELD_ROOT, FieldReference
from mistral_offload.payload.reference import PAYLOAD_ROOT, UNOWNED, Reference
from mistral_offload.storage.store import BlobStore


class OwnerKind(str, Enum):
    """The kind of id that identifies an owner."""

    EXECUTION = "execution"
    """An execution id, which is Temporal's workflow id; owns payloads, and files of clients."""

    RUN = "run"
    """The id of one run of an execution; owns activity fields, and files of activities."""

    UNOWNED = "unowned"
    """No id: payloads for which Temporal names no execution."""


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
            elif not is_file_key(key):
                FieldReference.from_key(key)
        except ReferenceRefusedError:
            return None
        namespace, id, _ = rest.split("/", 2)
        if root == PAYLOAD_ROOT and id == UNOWNED:
            return cls(unquote(namespace), OwnerKind.UNOWNED, "")
        is_execution = root == PAYLOAD_ROOT or id.startswith(EXECUTION_MARK)
        kind = OwnerKind.EXECUTION if is_execution else OwnerKind.RUN
        return cls(unquote(namespace), kind, unquote(id.removeprefix(EXECUTION_MARK)))

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
    def key_prefixes(self) -> tuple[str, ...]:
        """The beginnings of the keys of its blobs, and of no others."""
        namespace, id = quote(self.namespace, safe=""), quote(self.id, safe="")
        if self.kind is OwnerKind.UNOWNED:
            return (f"{PAYLOAD_ROOT}/{namespace}/{UNOWNED}/",)
        if self.kind is OwnerKind.RUN:
            return (f"{FIELD_ROOT}/{namespace}/{id}/",)
        return (
            f"{PAYLOAD_ROOT}/{namespace}/{id}/",
            f"{FIELD_ROOT}/{namespace}/{EXECUTION_MARK}{id}/",
        )


@dataclass(frozen=True, slots=True)
class Blob:
    """A payload, an activity field, or a part of a file, in a store.

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
