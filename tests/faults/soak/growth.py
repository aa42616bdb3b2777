"""Resources of a process: threads, file descriptors, memory."""

from __future__ import annotations

from dataclasses import dataclass

import psutil


@dataclass(frozen=True)
class Held:
    """Resources of one process at one moment; resident memory in MB."""

    threads: int
    files: int
    megabytes: float

    @classmethod
    def by(cls, pid: int) -> Held:
        process = psutil.Process(pid)
        with process.oneshot():
            return cls(process.num_threads(), process.num_fds(), process.memory_info().rss / 1e6)

    def row(self, who: str, later: Held) -> dict[str, str]:
        """Return a row of the table: from this moment to a later one."""
        return {
            "process": who,
            "threads": f"{self.threads} → {later.threads}",
            "file descriptors": f"{self.files} → {later.files}",
            "MB": f"{self.megabytes:.0f} → {later.megabytes:.0f}",
        }
