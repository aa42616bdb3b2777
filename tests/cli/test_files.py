"""``mistral-offload files``."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest

from mistral_offload.config import BlobStorageConfig, FieldOffloadingConfig
from mistral_offload.files.chunks import CHUNK_BYTES
from mistral_offload.files.configuration import configured_files
from mistral_offload.files.reference import root_of_run
from mistral_offload.files.source import source_of_bytes
from mistral_offload.payload.field_blob import NO_CIPHER
from tests.cli.command import call_command

CONTENT = bytes(CHUNK_BYTES) + b"the end"
ROOT = root_of_run("default", "run-1")


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    folder = tmp_path / "blobs"
    variables = {"STORAGE_PROVIDER": "local", "PATH": str(folder)}
    for name, text in variables.items():
        monkeypatch.setenv(f"ACTIVITY_ATTRIBUTES_OFFLOADING__STORAGE_CONFIG__{name}", text)
    storage = BlobStorageConfig.model_validate({"storage_provider": "local", "path": str(folder)})
    store = configured_files(FieldOffloadingConfig(storage_config=storage), None, NO_CIPHER)
    assert store is not None
    return store.upload(source_of_bytes(CONTENT, "talk.wav", None), ROOT).reference.key


def test_get(key: str, tmp_path: Path) -> None:
    ended = call_command("files", "get", key, str(tmp_path))
    assert (ended.returncode, (tmp_path / "talk.wav").read_bytes()) == (0, CONTENT)
    assert "talk.wav: 8,388,615 bytes (8.4 MB)" in ended.stdout
    assert "100 %: 8,388,615 of 8,388,615 bytes" in ended.stderr
    ended = call_command("files", "get", key, str(tmp_path / "other"), "--json")
    assert json.loads(ended.stdout)["size_bytes"] == len(CONTENT)
    assert ended.stderr == ""


def test_verify(key: str, tmp_path: Path) -> None:
    ended = call_command("files", "verify", key, "--json")
    assert json.loads(ended.stdout)["sha256"] == hashlib.sha256(CONTENT).hexdigest()
    (last,) = [path for path in tmp_path.rglob("*") if path.is_file() and path.stat().st_size == 7]
    last.write_bytes(b"The end")
    ended = call_command("files", "verify", key)
    assert ended.returncode == 1
    assert "chunk 2 of 2 (bytes 8,388,608 to 8,388,615) of file 'talk.wav'" in ended.stderr


def test_what_is_no_file(key: str) -> None:
    ended = call_command("files", "get", "temporal-payload/a/b/sha256:0")
    assert ended.returncode == 1
    assert "may only name a file" in ended.stderr
