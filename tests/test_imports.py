"""Cost and requirements of importing: the base install needs only httpx and pydantic."""

from __future__ import annotations

import subprocess
import sys

import pytest

import mistral_offload

OPTIONAL = (
    "boto3", "botocore", "azure", "google", "temporalio", "pydantic_settings", "typer", "rich",
    "starlette", "uvicorn", "cryptography", "zstandard", "msgpack", "tenacity", "orjson",
)  # fmt: skip

WITHOUT_EXTRAS = f"""
import importlib.machinery, sys
class Installed(importlib.machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        if name.partition(".")[0] in {OPTIONAL!r}:
            return None
        return super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(importlib.machinery.PathFinder)] = Installed
"""


def python(program: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False
    )


def test_base_install_is_enough_for_the_client() -> None:
    finished = python(
        WITHOUT_EXTRAS
        + """
import tempfile
from mistral_offload import *
from mistral_offload.storage import MemoryStore, open_store
with tempfile.TemporaryDirectory() as folder:
    storage = BlobStorageConfig(storage_provider="local", path=folder)
    Mistral("key", workflow_payload_offloading=PayloadOffloadingConfig(storage_config=storage))
    assert open_store(storage).put("key", b"blob")
print("fine")
"""
    )
    assert (finished.stdout, finished.stderr) == ("fine\n", "")


@pytest.mark.parametrize(
    ("program", "extra"),
    [
        ("import mistral_offload.workflows", "worker"),
        ("import mistral_offload.devserver", "dev"),
        ("import mistral_offload.inspection", "worker"),
        (
            "from mistral_offload import BlobStorageConfig as C\n"
            "from mistral_offload.storage import open_store\n"
            "open_store(C(bucket_name='b')).get('k')",
            "s3",
        ),
        ("from mistral_offload.cli import main; main()", "cli"),
        (
            "from mistral_offload import *\n"
            "Mistral(workflow_payload_encryption="
            "PayloadEncryptionConfig(mode='full', main_key='8f' * 16))",
            "encryption",
        ),
        (
            "from mistral_offload import *\n"
            "Mistral(workflow_payload_compression=PayloadCompressionConfig())",
            "compression",
        ),
    ],
)
def test_missing_extra_is_named(program: str, extra: str) -> None:
    finished = python(WITHOUT_EXTRAS + program)
    assert finished.returncode != 0
    assert f'pip install "mistral-offload[{extra}]"' in finished.stderr


def test_importing_loads_no_optional_package() -> None:
    finished = python(
        "import sys, mistral_offload, mistral_offload.storage\n"
        # httpx itself imports rich and zstandard if they are installed.
        f"print(sorted(set({OPTIONAL!r}) & set(sys.modules) - {{'rich', 'zstandard'}}))"
    )
    assert (finished.stdout, finished.stderr) == ("[]\n", "")


def test_public_names_are_those_of_all() -> None:
    public = {name for name in vars(mistral_offload) if not name.startswith("_")}
    modules = {
        "api", "client", "config", "devserver", "errors", "extra", "limits", "payload", "storage",
        "temporal", "workflows", "cli", "fields", "cleanup", "codecserver", "doctor", "lifecycle",
        "inspection", "environment",
    }  # fmt: skip
    assert public - modules <= set(mistral_offload.__all__)
    assert all(hasattr(mistral_offload, name) for name in mistral_offload.__all__)
