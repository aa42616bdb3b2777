"""The examples for plain temporalio users print what their README says."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[2] / "examples" / "plain_temporal"


@pytest.mark.parametrize("script", ["with_plugin.py", "with_driver.py"])
def test_an_example(temporal_target: str, tmp_path: Path, script: str) -> None:
    shown = subprocess.run(
        [sys.executable, script],
        cwd=EXAMPLES,
        env={**os.environ, "BLOBS": str(tmp_path), "TEMPORAL_ADDRESS": temporal_target},
        capture_output=True,
        text=True,
        check=False,
        timeout=50,
    )
    assert shown.returncode == 0, shown.stderr
    last = shown.stdout.splitlines()[-1]
    assert last in (EXAMPLES / "README.md").read_text()
    assert list((tmp_path / "temporal-payload" / "default").iterdir())
