"""The wheel in new environments: what the README says of each extra holds.

Installing takes minutes, so this runs in the matrix, with ``FRESH_INSTALL=1``.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import venv
from email.parser import HeaderParser
from pathlib import Path
from zipfile import ZipFile

import pytest

ROOT = Path(__file__).parents[1]
INSTALLED = os.environ.get("FRESH_INSTALL") == "1"
_INSTALL_SECONDS = 300
_SECONDS = 60

STORE = """
from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig
storage = BlobStorageConfig({storage})
offloading = PayloadOffloadingConfig(storage_config=storage)
Mistral(api_key="key", workflow_payload_offloading=offloading)
from mistral_offload.storage import open_store
open_store(storage)
"""
STORES = {
    "s3": 'bucket_name="b", region_name="eu-west-3"',
    "azure": 'storage_provider="azure", container_name="b", '
    'azure_storage_account_url="https://acme.blob.core.windows.net"',
    "gcs": 'storage_provider="gcs", bucket_id="b"',
}
WORKER = "from mistral_offload.workflows import run_worker, workflow"
COMMAND = ["mistral-offload", "--version"]
DEV = ["mistral-offload", "dev", "--help"]

USES: dict[str, list[str | list[str]]] = {
    "": ["from mistral_offload import *; Mistral(api_key='key').workflows"],
    **{extra: [STORE.format(storage=storage)] for extra, storage in STORES.items()},
    "storage": [STORE.format(storage=storage) for storage in STORES.values()],
    "s3,worker": [STORE.format(storage=STORES["s3"]), WORKER],
    "cli,worker,s3": [COMMAND, ["mistral-offload", "doctor", "--help"]],
    "dev": [WORKER, COMMAND, DEV, "import mistral_offload.devserver"],
}
"""Programs and commands that work with the extras of the README's installations."""


def documented_extras() -> set[str]:
    """Return the extras of every installation that the README prints, and those it names beside."""
    section = (ROOT / "README.md").read_text().partition("## Install\n")[2].partition("\n## ")[0]
    printed = set(re.findall(r'pip install "mistral-offload\[([\w,]+)\]"', section))
    also = re.findall(r"also: ([\w, ]+)", section)
    return printed | {name for names in also for name in re.findall(r"\w+", names)}


def test_the_readme_names_the_extras() -> None:
    assert documented_extras() == set(USES) - {""}


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("dist")
    command = [sys.executable, "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", folder]
    subprocess.run([*command, ROOT], check=True, timeout=_INSTALL_SECONDS)
    (wheel,) = folder.glob("*.whl")
    return wheel


@pytest.mark.skipif(not INSTALLED, reason="installs for minutes: runs in the matrix")
@pytest.mark.timeout(_INSTALL_SECONDS + 5 * _SECONDS)
@pytest.mark.parametrize("extras", USES, ids=lambda extras: extras or "base")
def test_the_wheel(extras: str, wheel: Path, tmp_path: Path) -> None:
    with ZipFile(wheel) as archive:
        (name,) = (name for name in archive.namelist() if name.endswith(".dist-info/METADATA"))
        metadata = HeaderParser().parsestr(archive.read(name).decode())
    assert set(metadata.get_all("Provides-Extra", [])) >= set(filter(None, extras.split(",")))
    (address,) = metadata.get_all("Project-URL", [])
    site = address.removeprefix("Documentation, ")
    links = re.findall(r"\]\(([^)]+)\)", metadata.get_payload())
    assert len(links) > 10
    assert all(link.startswith(site) for link in links)

    venv.create(tmp_path / "venv", with_pip=True)
    programs = tmp_path / "venv" / "bin"
    requirement = f"{wheel}[{extras}]" if extras else str(wheel)
    subprocess.run(
        [programs / "pip", "install", "--quiet", requirement], check=True, timeout=_INSTALL_SECONDS
    )
    for use in USES[extras]:
        if isinstance(use, str):
            command = [programs / "python", "-W", "error", "-c", use]
        else:
            command = [programs / use[0], *use[1:]]
        ended = subprocess.run(
            command, cwd=tmp_path, capture_output=True, text=True, timeout=_SECONDS
        )
        assert ended.returncode == 0, ended.stderr
    if not extras:
        listed = subprocess.run(
            [programs / "pip", "list", "--format=freeze"],
            capture_output=True, text=True, timeout=_SECONDS, check=True,
        )  # fmt: skip
        names = {line.partition("==")[0].lower() for line in listed.stdout.splitlines()}
        assert names >= {"httpx", "pydantic"}
        assert not names & {"boto3", "temporalio", "typer", "azure-identity", "orjson"}
