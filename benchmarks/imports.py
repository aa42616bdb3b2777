"""Cost of importing the package, of creating a client, and of commands that do nothing else."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from benchmarks import targets
from benchmarks.measurement import percentile_95
from benchmarks.results import BenchmarkError, Line, Row, Table, Target
from benchmarks.session import Session

_FLOOR = "httpx + pydantic"
_IMPORTS = {
    "import mistral_offload": "import mistral_offload",
    "Mistral(…)": 'from mistral_offload import Mistral; Mistral("key")',
    "Mistral(…), with a store": """
from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig
storage = BlobStorageConfig(bucket_name="payloads")
Mistral("key", workflow_payload_offloading=PayloadOffloadingConfig(storage_config=storage))
""",
    "Mistral(…).workflows": 'from mistral_offload import Mistral; Mistral("key").workflows',
    "python, nothing imported": "",
    _FLOOR: "import httpx, pydantic; pydantic.BaseModel; httpx.Client",
    "boto3": "import boto3",
}
_NEEDING_EXTRAS = ("boto3", "Mistral(…), with a store")
"""A store whose packages are not installed is refused when the client is made."""

_IMPORT_LIMITS = {"import mistral_offload": 1.25, "Mistral(…)": 1.35}

_COMMANDS = ("--version", "--help", "keys new")
_COMMAND_SECONDS = 0.4
_COMMAND = "import sys; from mistral_offload.cli import main; sys.argv[1:] = {!r}; main()"

_BASE_INSTALL = """
import importlib.metadata, re
def normal(name): return re.sub("[-_.]+", "-", name).lower()
installed = {normal(each.name): each for each in importlib.metadata.distributions()}
kept, left = {"mistral-offload"}, ["httpx", "pydantic"]
while left:
    name = left.pop()
    if name in installed and name not in kept:
        kept.add(name)
        left += [normal(re.match("[A-Za-z0-9._-]+", each)[0])
                 for each in installed[name].requires or [] if "extra ==" not in each]
for module, owners in importlib.metadata.packages_distributions().items():
    if not kept & set(map(normal, owners)):
        print(module)
"""
"""Prints the installed modules that a base install would not have."""
_HIDE = """
import sys
from importlib.machinery import PathFinder
class _Installed(PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name in {!r} else super().find_spec(name, path, target)
sys.meta_path[sys.meta_path.index(PathFinder)] = _Installed
"""

_PEAK = """
with open("/proc/self/status") as status:
    print(next(line for line in status if line.startswith("VmHWM")).split()[1])
"""


@dataclass
class _Program:
    """A program, and the measured costs of its processes."""

    name: str
    code: str
    seconds: list[float] = field(default_factory=lambda: [])
    user: list[float] = field(default_factory=lambda: [])
    cpu: list[float] = field(default_factory=lambda: [])
    peaks: list[float] = field(default_factory=lambda: [])

    @property
    def cost(self) -> float:
        """Median CPU time in seconds."""
        return statistics.median(self.cpu)


def measure(session: Session) -> list[Table]:
    """Measure processes that do one thing and exit."""
    session.tell("imports")
    hide = _HIDE.format({*_output(_BASE_INSTALL).split()})
    installs = {
        "all extras": [_Program(name, code + _PEAK) for name, code in _IMPORTS.items()],
        "base install": [
            _Program(name, hide + code + _PEAK)
            for name, code in _IMPORTS.items()
            if name not in _NEEDING_EXTRAS
        ],
    }
    commands = [_Program(each, _COMMAND.format(each.split())) for each in _COMMANDS]
    programs = [*(each for install in installs.values() for each in install), *commands]
    first, rounds = (1, 1) if session.quick else (0, 9)
    for number in range(first, rounds + 1):
        for program in programs if number % 2 else reversed(programs):
            _run(program, counted=number > 0)  # the first round may compile
    rows = [_import_row(name, install) for name, install in installs.items()]
    rows.append(Row("command", [_line(each) for each in commands], _command_targets(commands)))
    notes = (
        "Whole processes, from start to exit; the peak is their whole memory. Ratios and targets "
        "compare CPU time. The base install is the same environment with all other packages "
        "hidden: with all extras, httpx itself also imports click and rich. boto3 is for "
        "comparison: it is imported only at the first use of an S3 store. The first use of "
        "`workflows` imports the API with all its models."
    )
    return [Table("Importing the client", rows, notes)]


def _import_row(name: str, programs: Sequence[_Program]) -> Row:
    floor = next(each for each in programs if each.name == _FLOOR).cost
    judged = [
        targets.at_most(
            f"{each.name}: CPU / {_FLOOR}", each.cost / floor, _IMPORT_LIMITS[each.name], "x"
        )
        for each in programs
        if each.name in _IMPORT_LIMITS
    ]
    return Row(f"import, {name}", [_line(each, floor) for each in programs], judged)


def _command_targets(programs: Sequence[_Program]) -> list[Target]:
    return [
        targets.at_most(
            f"{each.name}: user CPU", statistics.median(each.user), _COMMAND_SECONDS, " s"
        )
        for each in programs
    ]


def _line(program: _Program, floor: float | None = None) -> Line:
    more = {"user CPU ms": f"{statistics.median(program.user) * 1000:.0f}"}
    if floor is not None:
        more[f"CPU / {_FLOOR}"] = f"{program.cost / floor:.2f}x"
    return Line(
        program.name,
        rounds=len(program.cpu),
        median_ms=statistics.median(program.seconds) * 1000,
        p95_ms=percentile_95(program.seconds) * 1000,
        cpu_ms=program.cost * 1000,
        peak_mb=statistics.median(program.peaks) if program.peaks else None,
        more=more,
    )


def _run(program: _Program, *, counted: bool) -> None:
    used, began = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    output = _output(program.code)
    seconds, now = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    if not counted:
        return
    user = now.ru_utime - used.ru_utime
    program.seconds.append(seconds)
    program.user.append(user)
    program.cpu.append(user + now.ru_stime - used.ru_stime)
    if program.code.endswith(_PEAK):
        program.peaks.append(int(output) * 1024 / 1_000_000)


def _output(code: str) -> str:
    child = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    if child.returncode:
        raise BenchmarkError(f"{code} failed:\n{child.stderr}")
    return child.stdout
