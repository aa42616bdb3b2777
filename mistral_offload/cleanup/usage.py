"""How much is stored, by namespace and by owner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from mistral_offload.cleanup.owners import Blob, Owner


@dataclass(slots=True)
class Usage:
    """Some blobs, added up.

    Attributes:
        blobs: how many.
        size: in bytes.
        oldest, newest: when the first and the last of them were written; None if there are none.
    """

    blobs: int = 0
    size: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None

    def add(self, blob: Blob) -> None:
        """Count one more."""
        self.blobs += 1
        self.size += blob.size
        self.oldest = min(self.oldest or blob.modified, blob.modified)
        self.newest = max(self.newest or blob.modified, blob.modified)


@dataclass(slots=True)
class UsageReport:
    """Sums of a whole inventory."""

    total: Usage = field(default_factory=Usage)
    namespaces: dict[str, Usage] = field(default_factory=dict[str, Usage])
    owners: dict[Owner, Usage] = field(default_factory=dict[Owner, Usage])

    def largest_owners(self, count: int) -> list[tuple[Owner, Usage]]:
        """The owners with the most bytes, largest first."""
        return sorted(self.owners.items(), key=lambda entry: -entry[1].size)[:count]


def add_up(blobs: Iterable[Blob], *, by_owner: bool = False) -> UsageReport:
    """Count blobs; ``by_owner`` keeps one small record an owner in memory."""
    report = UsageReport()
    for blob in blobs:
        report.total.add(blob)
        report.namespaces.setdefault(blob.owner.namespace, Usage()).add(blob)
        if by_owner:
            report.owners.setdefault(blob.owner, Usage()).add(blob)
    return report
