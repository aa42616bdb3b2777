"""Many large calls at once on one client."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.api.concurrent_executes import CALLS

ROOT = Path(__file__).parents[2]


def measure() -> dict[str, Any]:
    """Run the program by itself, so that its memory is its own."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.api.concurrent_executes"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    print(finished.stdout)
    return json.loads(finished.stdout)


def test_many_large_inputs_at_once() -> None:
    # What else the machine does makes the loop late, too: the best of a few runs tells.
    runs = [measure()]
    while runs[-1]["longest_block_ms"] >= 50 and len(runs) < 4:
        runs.append(measure())
    assert all(run["started"] == CALLS for run in runs)
    assert min(run["longest_block_ms"] for run in runs) < 50
    assert max(run["peak_mb"] for run in runs) < 500  # the cache keeps 256 MiB; inputs are 1.5 GB
