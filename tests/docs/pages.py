"""The pages of the documentation and their Python blocks."""

from __future__ import annotations

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"


def blocks(page: Path, language: str = "python") -> list[str]:
    """Return the fenced blocks of one language."""
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)


def pages_with_programs() -> dict[str, list[str]]:
    """Return the Python blocks of every page that has some, by its path in the repository.

    Those of the reference are examples of docstrings.
    """
    pages = [*ROOT.glob("*.md"), *DOCS.glob("**/*.md")]
    found = {page.relative_to(ROOT).as_posix(): blocks(page, "(?:python|py)") for page in pages}
    return {name: programs for name, programs in found.items() if programs}
