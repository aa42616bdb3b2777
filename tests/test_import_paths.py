"""Import paths of the user's page, and the short ones."""

from __future__ import annotations

import subprocess
import sys

MODULES = [
    "mistral_offload",
    "mistral_offload.client.models",
    "mistral_offload.extra.workflows",
    "mistral_offload.extra.workflows.encoding",
    "mistral_offload.fields",
    "mistral_offload.storage",
    "mistral_offload.temporal",
    "mistral_offload.workflows",
    "mistral_offload.workflows.core.encoding.fields_offloader",
    "mistral_offload.workflows.workflow",
]


def test_every_path_leads_to_the_same_class() -> None:
    import mistral_offload
    import mistral_offload.workflows as workflows
    from mistral_offload.client import Mistral
    from mistral_offload.extra import workflows as extra
    from mistral_offload.extra.workflows import encoding
    from mistral_offload.workflows.core.encoding import fields_offloader

    assert Mistral is mistral_offload.Mistral
    assert workflows.OffloadableField is fields_offloader.OffloadableField
    assert workflows.OffloadableModel is fields_offloader.OffloadableModel
    only_there = {
        "AlgorithmConfig",
        "WorkflowEncodingConfig",
        "ZstdCompressionConfig",
        "configure_workflow_encoding",
        "generate_two_part_id",
    }
    for name in set(encoding.__all__) - only_there:
        assert getattr(encoding, name) is getattr(mistral_offload, name)
    for name in extra.__all__:
        assert getattr(extra, name) is getattr(encoding, name)
    assert encoding.ZstdCompressionConfig is encoding.AlgorithmConfig is mistral_offload.ZstdConfig


# One process for all, since starting one costs more than the imports.
IMPORT_IN_TURN = f"""
import importlib, sys
refused = {{"boto3", "botocore", "azure", "google.cloud.storage"}}
for name in {MODULES}:
    importlib.import_module(name)
    print(*refused.intersection(sys.modules), "by", name)
"""


def test_importing_loads_no_cloud_sdk() -> None:
    shown = subprocess.run(
        [sys.executable, "-c", IMPORT_IN_TURN],
        capture_output=True,
        text=True,
        check=True,
        timeout=50,
    )
    assert shown.stdout.splitlines() == [f"by {name}" for name in MODULES]
