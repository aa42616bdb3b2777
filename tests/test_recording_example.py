"""Runs the recording example as on its page, with a small recording."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from mistral_offload import BlobStorageConfig
from mistral_offload.devserver import LocalPlatform
from mistral_offload.files.chunks import CHUNK_BYTES
from mistral_offload.files.manifest import Manifest
from mistral_offload.storage import open_store

FOLDER = Path(__file__).parents[1] / "examples" / "recording"
STORAGE = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__"
SIZE = 24_000_044
SECOND_BYTES = 96_000


@pytest.mark.timeout(120)  # starts a worker
def test_each_part_is_read_by_its_own_activity(
    local_platform: LocalPlatform, tmp_path: Path
) -> None:
    variables = {
        f"{STORAGE}STORAGE_PROVIDER": "local",
        f"{STORAGE}PATH": str(tmp_path),
        "LOG_LEVEL": "INFO",
        "CHECK_STORAGE_ON_START": "false",
        "MISTRAL_OFFLOAD_EVENTS": "off",
    }
    demo = subprocess.run(
        [sys.executable, "demo.py", "--megabytes", "24"],
        env={**os.environ, **local_platform.environment(), **variables},
        cwd=FOLDER,
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert demo.returncode == 0, demo.stderr  # the transcript is right, and the history small
    printed = demo.stdout
    assert f"sent: {SIZE:,} bytes" in printed
    assert "transcript: 250 words, as recorded" in printed
    history = re.search(r"history: ([\d,]+) bytes", printed)
    assert history is not None
    assert 5_000 < number(history[1]) < 30_000
    assert re.search(r"worker: peak memory grew by \d+ MB", printed)

    with open_store(BlobStorageConfig(storage_provider="local", path=tmp_path)) as store:
        (key,) = (blob.key for blob in store.list() if "/chunks-" in blob.key)
        manifest = Manifest.from_json(store.get(key))
    chunk_of = {manifest.digest(index)[-10:]: index for index in range(3)}

    def chunks_read(name: str) -> list[int]:
        lines = re.findall(rf":{name}: get .* …(.{{10}})/chunk-\d+: ", demo.stderr)
        return sorted(chunk_of[digest] for digest in lines)

    parts = re.findall(r"(part \d): ([\d,]+) bytes from ([\d,]+) on; read (\d+) chunks", printed)
    ranges = [(number(start), number(length)) for _, length, start, _ in parts]
    assert ranges == [(44 + k * 50 * SECOND_BYTES, 50 * SECOND_BYTES) for k in range(5)]
    for (name, _, _, count), (start, length) in zip(parts, ranges, strict=True):
        own = range(start // CHUNK_BYTES, (start + length - 1) // CHUNK_BYTES + 1)
        assert chunks_read(name.replace(" ", "-")) == list(own)
        assert int(count) == len(own)
    assert chunks_read("split") == [0]


def number(text: str) -> int:
    return int(text.replace(",", ""))
