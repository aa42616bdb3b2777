"""Full disks: a store raises an error and leaves no partial file; a cache is skipped."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.faults.report import Outcome, Recorder

ALONE = ["unshare", "--user", "--map-root-user", "--mount"]


def may_mount() -> bool:
    try:
        return subprocess.run([*ALONE, "true"], capture_output=True, timeout=20).returncode == 0
    except FileNotFoundError:
        return False


# A file size limit exists on every machine.
WAYS = {"limit": "File too large"} | ({"tmpfs": "No space left on device"} if may_mount() else {})


@pytest.mark.parametrize("way", WAYS)
def test_a_full_disk(tmp_path: Path, recorder: Recorder, way: str) -> None:
    command = [sys.executable, "-m", "tests.faults.on_a_full_disk", way, str(tmp_path)]
    ended = subprocess.run(
        [*(ALONE if way == "tmpfs" else []), *command], capture_output=True, text=True, timeout=50
    )
    assert ended.returncode == 0, ended.stderr
    told = json.loads(ended.stdout)

    store = told["store"]
    assert store["error"] == "StorageUnavailableError"
    assert f"put failed ({WAYS[way]})" in store["said"]
    assert "check the disk's free space" in store["said"]
    assert str(tmp_path / "blobs") in store["said"]
    assert "'some/large'" in store["said"]
    assert store["left"] == ["small=blob"]  # no partial file
    assert store["kept"]
    assert store["again"]  # blobs that fit are still stored

    cache = told["cache"]
    assert cache["error"] == ""
    assert cache["same"]
    assert cache["left"] == []
    assert ended.stderr.count("cache directory") == 1  # logged once, not for every blob
    assert WAYS[way] in ended.stderr

    said = WAYS[way].lower()
    recorder.note(Outcome(f"put: {said}", "local store", store["error"], 1, store["seconds"]))
    fault = f"put: {said}"
    recorder.note(Outcome(fault, "cache directory", "skipped", None, cache["seconds"]))
