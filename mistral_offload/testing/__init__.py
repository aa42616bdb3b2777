"""Tests of workflows: a worker in the test's process, and what its executions offloaded.

With pytest, use the fixtures ``local_platform``, ``workflow_worker``, ``memory_store`` and
``time_skipping``, which this package installs.
"""

from __future__ import annotations

from mistral_offload.errors import MissingExtraError

try:
    from mistral_offload.testing.blobs import OffloadedBlob
    from mistral_offload.testing.worker import WorkflowWorker
except MissingExtraError as error:
    raise MissingExtraError("mistral_offload.testing", "dev") from error

__all__ = ["OffloadedBlob", "WorkflowWorker"]
