"""The form of the findings; what they show is tried by hand, since it is not ours."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "findings"
SCRIPTS = sorted(FOLDER.glob("*.sh"))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_form(script: Path) -> None:
    text = script.read_text()
    assert os.access(script, os.X_OK)
    assert text.startswith("#!/usr/bin/env bash\n# ")
    for heading in ("Versions:", "One would guess:", "What happens:", "It matters", "Output seen:"):
        assert f"\n# {heading}" in text
    assert "\nset -euo pipefail\nfolder=$(mktemp -d)\ntrap 'rm -rf \"$folder\"' EXIT\n" in text
    assert "mistral_offload" not in text.split("set -euo pipefail")[1]
    assert "0.0.0.0" not in text
    assert subprocess.run(["bash", "-n", script], timeout=20).returncode == 0


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_packages_are_pinned(script: Path) -> None:
    text = script.read_text().replace("\\\n", " ")
    installs = re.findall(r"/pip\" install (.*)", text)
    assert installs
    for line in installs:
        packages = [word.strip("'") for word in line.split() if not word.startswith(("-", '"'))]
        assert packages
        assert all(re.fullmatch(r"[\w.\[\]-]+==[\d.]+", package) for package in packages)


def test_the_page_lists_each() -> None:
    linked = re.findall(r"^\| \[(.+)\]\(\1\)", (FOLDER / "README.md").read_text(), re.MULTILINE)
    assert linked == [script.name for script in SCRIPTS]
    assert len(SCRIPTS) >= 3
