"""Interpreters that have the official packages."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.official.environments import CLIENT, PLUGIN, PROVIDERS, WORKER


@pytest.fixture(scope="session")
def worker_python() -> Path:
    """An interpreter with the official worker and what it requires."""
    return WORKER.python()


@pytest.fixture(scope="session")
def plugin_python() -> Path:
    """An interpreter with the official worker and ``mistral-offload-official``."""
    return PLUGIN.python()


@pytest.fixture(scope="session")
def providers_python() -> Path:
    """The same with the packages for Azure and Google."""
    return PROVIDERS.python()


@pytest.fixture(scope="session")
def client_python() -> Path:
    """An interpreter with the official client, newer than the one that the worker requires."""
    return CLIENT.python()
