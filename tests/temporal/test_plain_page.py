"""Runs the programs of docs/plain-temporal.md unchanged, except for the store and the address."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[2] / "docs" / "plain-temporal.md"
STORAGE = 'BlobStorageConfig(bucket_name="my-payloads", region_name="eu-west-3")'
PRINTED = ("5999998 characters\n", "OffloadingCodec\n")


def programs() -> list[str]:
    return re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)


def replaced(text: str, old: str, new: str) -> str:
    assert text.count(old) == 1
    return text.replace(old, new)


def test_every_program_is_run() -> None:
    assert len(programs()) == len(PRINTED)


@pytest.mark.parametrize("number", range(len(PRINTED)))
def test_programs(
    number: int, temporal_target: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    local = f"BlobStorageConfig(storage_provider='local', path={str(tmp_path)!r})"
    program = replaced(programs()[number], STORAGE, local)
    script = tmp_path / "program.py"
    script.write_text(replaced(program, '"localhost:7233"', repr(temporal_target)))
    if "Worker" in program:  # imports its module again, in the sandbox
        finished = subprocess.run(
            [sys.executable, script], capture_output=True, text=True, timeout=50, check=False
        )
        assert finished.returncode == 0, finished.stderr
        printed = finished.stdout
    else:
        runpy.run_path(str(script), run_name="__main__")
        printed = capsys.readouterr().out
    assert printed == PRINTED[number]
