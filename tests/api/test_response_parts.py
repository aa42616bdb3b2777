"""Parts of responses, which users hand on, are models that can be serialized by themselves."""

from __future__ import annotations

import subprocess
import sys

PROGRAM = """
from pydantic_core import to_json
from mistral_offload.api.models.deployments import DeploymentDetailResponse

times = dict.fromkeys(("created_at", "updated_at", "last_heartbeat"), "2026-01-01T00:00:00Z")
worker = {"name": "w", "is_active": True, **times}
response = DeploymentDetailResponse.model_validate(
    {"id": "1", "name": "d", "is_active": True, "workers": [worker], **times}
)
print(to_json([response.workers[0]]).decode())
"""


def test_a_part_of_the_first_response_of_a_process() -> None:
    """In a process of its own: pydantic builds models when they are first used."""
    finished = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=50, check=False
    )
    assert finished.returncode == 0, finished.stderr
    assert '"name":"w"' in finished.stdout
