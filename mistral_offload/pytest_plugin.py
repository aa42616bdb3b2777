"""Fixtures for tests of workflows; pytest finds them through an entry point.

Everything is imported inside the fixtures, so that other test suites pay nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from mistral_offload.devserver import LocalPlatform
    from mistral_offload.storage import MemoryStore
    from mistral_offload.testing import WorkflowWorker

_RETRY_SECONDS = 2.0


@pytest.fixture(scope="session")
def local_platform() -> Iterator[LocalPlatform]:
    """The local platform of ``mistral-offload dev``, started once for all tests."""
    from mistral_offload.devserver import LocalPlatform

    with LocalPlatform() as platform:
        yield platform


@pytest.fixture
def time_skipping(local_platform: LocalPlatform) -> Iterator[None]:
    """Executions that start during the test skip the time of their timers."""
    before = local_platform.time_skipping
    local_platform.time_skipping = True
    yield
    local_platform.time_skipping = before


@pytest.fixture
def memory_store() -> Iterator[MemoryStore]:
    """The test's store for large payloads, with faults to inject; retries for 2 s."""
    from mistral_offload.storage import MemoryStore

    store = MemoryStore(retry_seconds=_RETRY_SECONDS)
    yield store
    store.close()


@pytest.fixture
def workflow_worker(
    local_platform: LocalPlatform, memory_store: MemoryStore
) -> Iterator[Callable[..., WorkflowWorker]]:
    """Start workers: ``workflow_worker(MyWorkflow, …)``; they are stopped after the test.

    Further arguments are those of `mistral_offload.testing.WorkflowWorker`.
    """
    from mistral_offload.testing import WorkflowWorker

    with ExitStack() as stack:

        def start(*workflows: type, **options: Any) -> WorkflowWorker:
            options.setdefault("store", memory_store)
            options.setdefault("platform", local_platform)
            return stack.enter_context(WorkflowWorker(workflows, **options))

        yield start
