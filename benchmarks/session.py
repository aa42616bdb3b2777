"""State shared by all groups of rows."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.servers import S3Server


@dataclass
class Session:
    """One run of the command."""

    server: S3Server
    quick: bool
    against: Path | None = None
    began: float = field(default_factory=time.monotonic)

    def tell(self, what: str) -> None:
        """Print the current step on stderr."""
        print(f"{time.monotonic() - self.began:6.1f} s  {what}", file=sys.stderr, flush=True)
