"""Interpreters that have the official packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.official.environments import CLIENT, WORKER


@pytest.fixture(scope="session")
def worker_python() -> Path:
    """An interpreter with the official worker and what it requires."""
    return WORKER.python()


@pytest.fixture(scope="session")
def client_python() -> Path:
    """An interpreter with the official client, newer than the one that the worker requires."""
    return CLIENT.python()
