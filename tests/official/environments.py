"""Environments with the official packages, installed from the package index on first use.

The newest worker and the newest client exclude each other: the worker requires an older client. So
each has an environment of its own, and runs in a process of its own::

    python = WORKER.python()
    start([python, "worker.py"], env={**os.environ, "PYTHONPATH": str(ROOT)})

``PYTHONPATH`` adds this package, whose dependencies are installed too.
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

from tests.matrix import find_python
from tests.time_limits import clock_stopped

ROOT = Path(__file__).parents[2]
_FOLDER = ROOT / ".official"
_PYTHONS = ("3.12", "3.13", "3.14")
_INSTALL_SECONDS = 540


@dataclass(frozen=True)
class OfficialEnvironment:
    """A virtual environment, kept for later runs.

    Attributes:
        name: the name of its folder.
        requirements: what is installed.
        base: the environment that this one begins as a copy of.
        project: a distribution of this repository that is added to it, without dependencies.
    """

    name: str
    requirements: tuple[str, ...] = ()
    base: OfficialEnvironment | None = None
    project: Path | None = None

    def python(self) -> Path:
        """Return the interpreter; the first call of all processes installs the environment.

        Raises:
            OfficialEnvironmentError: there is no Python from 3.12 on, or the installation failed.
        """
        interpreter = _find_python()
        base = None if self.base is None else self.base.python()
        copied = () if base is None else (str(base),)
        wanted = "\n".join((interpreter, *copied, *self.requirements, *_contents(self.project)))
        digest = hashlib.sha256(wanted.encode()).hexdigest()[:12]
        folder = _FOLDER / f"{self.name}-{digest}"
        installed = folder / ".installed"
        python = folder / "bin" / "python"
        lock_file = Path(tempfile.gettempdir()) / f"official-{digest}-{_digest(ROOT)}.lock"
        with clock_stopped(), lock_file.open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            if not installed.exists():
                shutil.rmtree(folder, ignore_errors=True)
                if base is None:
                    _create(interpreter, folder)
                else:
                    shutil.copytree(base.parents[1], folder, symlinks=True, copy_function=os.link)
                    (folder / ".installed").unlink()
                if self.requirements:
                    _install(python, *self.requirements)
                if self.project is not None:
                    _install(python, "--no-deps", str(self.project))
                installed.write_text(wanted)
        return python


class OfficialEnvironmentError(Exception):
    """The official packages could not be installed."""


# The dependencies of this package that the official packages do not have are named as well.
_OURS = ("httpx>=0.27", "tenacity>=8.3", "orjson>=3.11.6", "pydantic-settings>=2.5")

# `tests.matrix` sets others.
WORKER_VERSION = os.environ.get("OFFICIAL_WORKER", "3.16.0")
CLIENT_VERSION = os.environ.get("OFFICIAL_CLIENT", "3.7.0")

WORKER = OfficialEnvironment(
    "worker",
    (
        f"mistralai-workflows[s3,encryption,compression]=={WORKER_VERSION}",
        "temporalio<1.30",
        *_OURS,
    ),
)
# The same worker with the plugin.
PLUGIN = OfficialEnvironment("plugin", base=WORKER, project=ROOT / "official_plugin")
# The same with the packages of its extras [azure] and [gcs], and those of the official ones.
PROVIDERS = OfficialEnvironment(
    "providers",
    (
        f"mistralai-workflows[azure,gcs]=={WORKER_VERSION}",
        "azure-storage-blob>=12.22",
        "azure-identity>=1.17",
        "google-cloud-storage>=2.0",
        "google-auth[requests]>=2.26",
        "google-crc32c>=1.5",
        "temporalio<1.30",
    ),
    base=PLUGIN,
)
CLIENT = OfficialEnvironment(
    "client",
    (
        "mistralai[workflow-payload-offloading-s3,workflow-payload-encryption,"
        f"workflow-payload-compression]=={CLIENT_VERSION}",
        *_OURS,
    ),
)


def _find_python() -> str:
    if sys.version_info >= (3, 12):
        return sys.executable
    for version in _PYTHONS:
        if (found := find_python(version)) is not None:
            return found
    raise OfficialEnvironmentError(
        f"the official worker needs one of Python {', '.join(_PYTHONS)}: install one, or put it on "
        "the PATH"
    )


def _create(interpreter: str, folder: Path) -> None:
    uv = shutil.which("uv")
    if uv is not None:
        _run(uv, "venv", "--quiet", "--python", interpreter, folder)
    else:
        _run(interpreter, "-m", "venv", "--without-pip", folder)


def _install(python: Path, *arguments: str) -> None:
    uv = shutil.which("uv")
    if uv is not None:
        _run(uv, "pip", "install", "--quiet", "--python", python, *arguments)
    else:
        _run(sys.executable, "-m", "pip", "--python", python, "install", "--quiet", *arguments)


def _run(*command: str | Path) -> None:
    ended = subprocess.run(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=_INSTALL_SECONDS,
    )
    if ended.returncode != 0:
        raise OfficialEnvironmentError(f"{command} failed:\n{ended.stdout[-4000:]}")


def _contents(project: Path | None) -> list[str]:
    """Return the text of a project's files, on which its environment depends."""
    if project is None:
        return []
    return [file.read_text() for kind in ("*.py", "*.toml") for file in sorted(project.rglob(kind))]


def _digest(path: Path) -> str:
    return hashlib.sha256(str(path).encode()).hexdigest()[:8]
