"""Public types, and every Python block of the documentation, checked by mypy and pyright.

They are checked as programs of a user: in a folder of their own, in strict mode, without the
settings of this project.
"""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mistral_offload.api import models
from tests.test_public_names import PROGRAMS
from tests.test_seed_page import CLIENT

ROOT = Path(__file__).parents[2]
USES = ["typing/api.py", "typing/revealed.py", "workflows/typed_uses.py"]
REVEALED = re.compile(r'revealed\.py:(\d+):\d+ - information: Type of ".*" is "(.*)"$', re.M)
OURS = {
    "mistralai.client": "mistral_offload",
    "mistralai.extra": "mistral_offload.extra",
    "mistralai.workflows": "mistral_offload.workflows",
}
"""The official SDK is not installed here, so its import paths are replaced by ours."""

OFFICIAL_OBJECTS = "from mistral_offload.official import"
"""In a block that configures an object of the official SDK."""

UNTYPED = "from invoices import"
"""In a block of a reader's tests, whose fixtures nobody annotates."""


def snippets() -> dict[str, str]:
    """Return every Python block of the pages, and the client of the user's page."""
    found = {
        re.sub(r"\W+", "_", place).lower(): text
        for place, text in PROGRAMS.items()
        if ".md " in place and OFFICIAL_OBJECTS not in text and UNTYPED not in text
    }
    found["seed_client"] = CLIENT
    for official, ours in OURS.items():
        found = {name: text.replace(official, ours) for name, text in found.items()}
    return found


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("programs")
    for use in USES:
        shutil.copy(ROOT / "tests" / use, folder)
    for name, text in snippets().items():
        (folder / f"page_{name}.py").write_text(text)
    settings = {"typeCheckingMode": "strict", "pythonVersion": "3.10"}
    (folder / "pyrightconfig.json").write_text(json.dumps(settings))
    return folder


def check(folder: Path, *command: str) -> str:
    finished = subprocess.run(
        [sys.executable, "-m", *command], cwd=folder, capture_output=True, text=True,
        timeout=300, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr
    return finished.stdout


@pytest.mark.timeout(180)  # the first run of a type checker has no cache
def test_mypy(folder: Path) -> None:
    cache = ROOT / ".mypy_cache" / "programs"
    check(
        folder, "mypy", "--strict", "--warn-unused-ignores", "--python-version", "3.10",
        "--config-file=", f"--cache-dir={cache}", ".",
    )  # fmt: skip


@pytest.mark.timeout(180)
def test_pyright(folder: Path) -> None:
    printed = check(folder, "pyright", "--warnings", "--pythonpath", sys.executable)
    lines = (ROOT / "tests" / "typing" / "revealed.py").read_text().splitlines()
    expected = {
        number: line.partition("  # ")[2]
        for number, line in enumerate(lines, 1)
        if "reveal_type(" in line
    }
    assert {int(line): text for line, text in REVEALED.findall(printed)} == expected


def test_the_pages_are_found() -> None:
    names = snippets()
    assert {"readme_md_0", "docs_storage_md_0", "seed_client"} <= set(names)
    assert len(names) > 15


def test_models_are_all_exported() -> None:
    assert len(models.__all__) == len(set(models.__all__)) > 100
    assert all(hasattr(models, name) for name in models.__all__)
