"""Storage use, by namespace and by owner."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime

from mistral_offload.cleanup.owners import Blob, Owner


@dataclass(slots=True)
class Usage:
    """The sum of some blobs.

    Attributes:
        blobs: the number of blobs.
        size: total bytes.
        oldest, newest: time of the first and of the last write; None without blobs.
    """

    blobs: int = 0
    size: int = 0
    oldest: datetime | None = None
    newest: datetime | None = None

    def add(self, blob: Blob) -> None:
        """Add one blob."""
        self.blobs += 1
        self.size += blob.size
        self.oldest = min(self.oldest or blob.modified, blob.modified)
        self.newest = max(self.newest or blob.modified, blob.modified)


@dataclass(slots=True)
class UsageReport:
    """The storage use of a whole inventory."""

    total: Usage = field(default_factory=Usage)
    namespaces: dict[str, Usage] = field(default_factory=dict[str, Usage])
    owners: dict[Owner, Usage] = field(default_factory=dict[Owner, Usage])

    def largest_owners(self, count: int) -> list[tuple[Owner, Usage]]:
        """Return the owners with the most bytes, largest first."""
        return sorted(self.owners.items(), key=lambda entry: -entry[1].size)[:count]


def add_up(blobs: Iterable[Blob], *, by_owner: bool = False) -> UsageReport:
    """Sum up blobs; ``by_owner`` keeps one small record per owner in memory."""
    report = UsageReport()
    for blob in blobs:
        report.total.add(blob)
        report.namespaces.setdefault(blob.owner.namespace, Usage()).add(blob)
        if by_owner:
            report.owners.setdefault(blob.owner, Usage()).add(blob)
    return report
