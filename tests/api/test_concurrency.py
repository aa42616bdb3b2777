"""Concurrent large calls on one client."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.api.concurrent_executes import CALLS

ROOT = Path(__file__).parents[2]


def measure() -> dict[str, Any]:
    """Run the program in a separate process, so that its memory can be measured."""
    finished = subprocess.run(
        [sys.executable, "-m", "tests.api.concurrent_executes"],
        cwd=ROOT, capture_output=True, text=True, timeout=120, check=True,
    )  # fmt: skip
    print(finished.stdout)
    return json.loads(finished.stdout)


def test_many_large_inputs_at_once() -> None:
    run = measure()
    assert run["started"] == CALLS
    assert run["loop_ms"] < 3 * CALLS  # hashing 3 MB takes longer than that each time
    assert run["longest_block_ms"] < 150  # all of them start in one iteration of the loop
    assert run["peak_mb"] < 500  # the cache keeps 256 MiB; inputs are 1.5 GB
