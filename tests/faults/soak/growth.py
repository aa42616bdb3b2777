"""What a process holds: threads, file descriptors, memory."""

from __future__ import annotations

from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Held:
    """Of one process at one moment; memory is resident, in MB."""

    threads: int
    files: int
    megabytes: float

    @classmethod
    def by(cls, pid: int) -> Held:
        process = psutil.Process(pid)
        with process.oneshot():
            return cls(process.num_threads(), process.num_fds(), process.memory_info().rss / 1e6)

    def row(self, who: str, later: Held) -> dict[str, str]:
        """A row of the table: from here to there."""
        return {
            "process": who,
            "threads": f"{self.threads} → {later.threads}",
            "file descriptors": f"{self.files} → {later.files}",
            "MB": f"{self.megabytes:.0f} → {later.megabytes:.0f}",
        }
