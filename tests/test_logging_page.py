"""The page on logging names the loggers that the code uses, and no others."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[1]


def used_loggers() -> set[str]:
    """Return the names passed to ``getLogger``."""
    calls = [
        call
        for path in ROOT.glob("mistral_offload/**/*.py")
        for call in re.findall(r"getLogger\((.*?)\)", path.read_text())
    ]
    assert all(re.fullmatch(r'"[\w.]+"', call) for call in calls)  # none is computed
    return {call.strip('"') for call in calls}


def test_the_page_names_every_logger() -> None:
    page = (ROOT / "docs" / "logging.md").read_text()
    documented = set(re.findall(r"^\| `(mistral_offload[\w.]*)`", page, re.MULTILINE))
    assert used_loggers() == {*documented, "mistral_offload", "temporalio.core"}
