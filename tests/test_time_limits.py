"""What a test that is stuck costs: its own result, its process, and none of the other tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

ROOT = Path(__file__).parents[1]
STUCK = """
import asyncio, subprocess, sys, threading, time

import pytest


async def wait_for_ever():
    await asyncio.Event().wait()


async def generate():
    yield await wait_for_ever()


async def iterate():
    async for _ in generate():
        pass


@pytest.mark.timeout(1.5)
async def test_stuck():
    threading.Thread(target=time.sleep, args=[60], name="asleep", daemon=True).start()
    child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
    print(f"child={child.pid}")
    await asyncio.create_task(iterate(), name="iterating")


def test_the_next():
    pass
"""
STUCK_TEARDOWN = """
import time

import pytest


@pytest.fixture
def stuck():
    yield
    time.sleep(60)


@pytest.mark.timeout(1)
def test_that_fails(stuck):
    raise AssertionError
"""


def run(folder: Path, program: str, *options: str) -> subprocess.CompletedProcess[str]:
    (folder / "pytest.ini").write_text("[pytest]\nasyncio_mode = auto\ntimeout_method = thread\n")
    (folder / "test_program.py").write_text(program)
    plugins = ("no:cacheprovider", "tests.time_limits", "tests.scheduler")
    command = [sys.executable, "-m", "pytest", *(f"-p{name}" for name in plugins), *options]
    return subprocess.run(
        [*command, "--rootdir", str(folder), "-c", str(folder / "pytest.ini"), str(folder)],
        cwd=ROOT,
        env={**os.environ, "PYTEST_ADDOPTS": ""},
        capture_output=True,
        text=True,
        timeout=50,
    )


@pytest.mark.parametrize("options", [(), ("-n1", "--dist=loadfile")], ids=["one process", "xdist"])
def test_stacks_of_threads_and_tasks_are_printed(tmp_path: Path, options: tuple[str, ...]) -> None:
    ended = run(tmp_path, STUCK, *options)
    assert ended.returncode == 1
    assert "test_program.py::test_stuck takes longer than 1.5 s" in ended.stderr
    assert "--- thread asleep" in ended.stderr
    (task,) = re.findall(r"--- task iterating .*?\n\n", ended.stderr, re.DOTALL)
    functions = re.findall(r"in (\w+)$", task, re.MULTILINE)
    assert functions == ["iterate", "generate", "wait_for_ever", "wait"]
    (child,) = re.findall(r"child=(\d+)", ended.stderr)
    assert not psutil.pid_exists(int(child))
    if options:
        assert "1 failed, 1 passed" in ended.stdout


def test_the_teardown_of_a_failed_test_has_a_limit_too(tmp_path: Path) -> None:
    ended = run(tmp_path, STUCK_TEARDOWN)
    assert ended.returncode == 1
    assert "time.sleep(60)" in ended.stderr
