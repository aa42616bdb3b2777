"""Packages that only rows of ``make matrix`` install."""

from __future__ import annotations

import importlib
import os

import pytest


def require(name: str) -> None:
    """Skip the calling module without a package; fail in the row that installs it."""
    if os.environ.get("AGENT_PLUGINS"):
        importlib.import_module(name)
    pytest.importorskip(name, reason="make matrix installs it")
