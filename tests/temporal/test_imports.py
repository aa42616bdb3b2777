"""Importing the worker half loads no cloud SDK, not even inside Temporal's sandbox."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

CLOUD_SDKS = {"boto3", "botocore", "azure", "google.cloud", "aiobotocore"}

PREPARE = """
import asyncio
import temporalio.workflow
from mistral_offload.temporal import sandbox_runner
from tests.workflows.documents import Documents
async def prepare():
    definition = temporalio.workflow._Definition.must_from_class(Documents)
    sandbox_runner().prepare_workflow(definition)
asyncio.run(prepare())
"""


def test_importing_loads_no_cloud_sdk() -> None:
    code = f"import mistral_offload.workflows, mistral_offload.temporal\n{PREPARE}"
    # Old packages of Google import their namespace in a file read at the interpreter's start.
    script = f"import sys\nbefore = set(sys.modules)\n{code}\nprint(*{{*sys.modules}} - before)"
    root = Path(__file__).parents[2]
    shown = subprocess.run(
        [sys.executable, "-c", script],
        capture_output=True,
        text=True,
        check=True,
        cwd=root,
        timeout=50,
    )
    loaded = set(shown.stdout.split())
    assert "mistral_offload.temporal.codec" in loaded
    assert not CLOUD_SDKS & loaded
