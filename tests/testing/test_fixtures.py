"""The fixtures that this package installs, in suites of users: one process for all of them."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLE = Path(__file__).parents[2] / "examples" / "tested_workflow"
OWN = Path(__file__).parent
PAGE = Path(__file__).parents[2] / "docs" / "testing.md"


@pytest.mark.server
@pytest.mark.timeout(200)
def test_the_example_the_page_and_a_suite_of_all_fixtures(tmp_path: Path) -> None:
    for module in EXAMPLE.glob("*.py"):
        shutil.copy(module, tmp_path)
    shutil.copy(OWN / "recordings.py", tmp_path)
    shutil.copy(OWN / "fixture_uses.py", tmp_path / "test_fixture_uses.py")
    blocks = re.findall(r"^```python\n(.*?)^```", PAGE.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) == 6
    for number, block in enumerate(blocks):
        (tmp_path / f"test_page_{number}.py").write_text(block)
    (tmp_path / "pytest.ini").write_text(
        "[pytest]\nasyncio_mode = auto\nasyncio_default_fixture_loop_scope = function\n"
        "filterwarnings = error\n"
    )
    ended = run_pytest(tmp_path, "-q", "-p", "no:cacheprovider", "-p", "no:xdist", seconds=180)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    tests = sum(
        len(re.findall(r"^(?:async )?def test_", module.read_text(), re.MULTILINE))
        for module in tmp_path.glob("test_*.py")
    )
    assert f"\n{tests} passed in" in ended.stdout
    page = (EXAMPLE / "README.md").read_text()
    assert re.search(r"```text\n\.+ +\[100%\]\n(\d+) passed", page)[1] == "6"  # type: ignore[index]


def test_a_suite_that_uses_no_fixture_imports_nothing_else(tmp_path: Path) -> None:
    (tmp_path / "test_none.py").write_text(
        "import sys\n\n"
        "def test_none():\n"
        "    names = {name for name in sys.modules if name.startswith('mistral_offload')}\n"
        "    assert names == {'mistral_offload', 'mistral_offload._lazy_names',\n"
        "        'mistral_offload._version', 'mistral_offload.pytest_plugin'}\n"
        "    assert not {'temporalio', 'starlette', 'pydantic'} & set(sys.modules)\n"
    )
    # Other plugins may import what they like, and so are left out.
    ended = run_pytest(tmp_path, "-q", "-p", "mistral_offload.pytest_plugin", seconds=50, auto="1")
    assert ended.returncode == 0, ended.stdout + ended.stderr


def run_pytest(
    folder: Path, *arguments: str, seconds: float, auto: str = ""
) -> subprocess.CompletedProcess[str]:
    """Run pytest in a folder; with ``auto``, without the plugins that are installed."""
    environment = {name: text for name, text in os.environ.items() if "PYTEST" not in name}
    if auto:
        environment["PYTEST_DISABLE_PLUGIN_AUTOLOAD"] = auto
    return subprocess.run(
        [sys.executable, "-m", "pytest", *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=seconds,
        check=False,
    )
