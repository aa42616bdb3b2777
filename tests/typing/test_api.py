"""Public types, checked by mypy and pyright."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from mistral_offload.api import models

ROOT = Path(__file__).parents[2]


@pytest.mark.skipif("CHECK_TYPES" not in os.environ, reason="part of make check and make matrix")
@pytest.mark.timeout(180)  # the first run of a type checker has no cache
@pytest.mark.parametrize(
    ("checker", "options"),
    [("mypy", ["--strict", "--warn-unused-ignores"]), ("pyright", ["--warnings"])],
)
def test_ordinary_uses(checker: str, options: list[str]) -> None:
    finished = subprocess.run(
        [sys.executable, "-m", checker, *options, "tests/typing/api.py"],
        cwd=ROOT, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stdout + finished.stderr


def test_models_are_all_exported() -> None:
    assert len(models.__all__) == len(set(models.__all__)) > 100
    assert all(hasattr(models, name) for name in models.__all__)
