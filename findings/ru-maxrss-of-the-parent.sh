#!/usr/bin/env bash
# On Linux the ru_maxrss of a new process begins with the peak memory of its parent.
#
# Versions: psutil 7.2.2. Seen with CPython 3.11 and Linux 6.
# One would guess: a small program is started in a process of its own to measure its memory, and
#   resource.getrusage(RUSAGE_SELF).ru_maxrss there is the program's peak.
# What happens: it is at least the peak of the process that started it, for the kernel counts the memory that
#   the child shared until it ran the program. VmHWM in /proc/self/status, and the resident memory that psutil
#   reads, are the program's own.
# It matters because a bound of "peak minus peak at first" holds for every program that stays below its parent:
#   a test of memory that cannot fail. VmHWM measures the program.
# Output seen:
#   started by a small process: ru_maxrss < 50 MB, VmHWM < 50 MB, resident < 50 MB
#   started by one that used 300 MB: ru_maxrss > 300 MB, VmHWM < 50 MB, resident < 50 MB
set -euo pipefail
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check psutil==7.2.2
cat > "$folder/measured.py" <<'PYTHON'
import json
import re
import resource
from pathlib import Path

import psutil

peak = re.search(r"VmHWM:\s+(\d+) kB", Path("/proc/self/status").read_text())
print(
    json.dumps(
        {
            "ru_maxrss": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
            "VmHWM": int(peak[1]) / 1000,
            "resident": psutil.Process().memory_info().rss / 1e6,
        }
    )
)
PYTHON
"$folder/venv/bin/python" - "$folder/measured.py" <<'PYTHON'
import json
import subprocess
import sys


def measured(parent):
    """Start the program, and say which of its figures are above what the parent held."""
    ended = subprocess.run([sys.executable, sys.argv[1]], capture_output=True, check=True)
    figures = json.loads(ended.stdout)
    shown = {name: "> 300 MB" if mb > 300 else "< 50 MB" for name, mb in figures.items()}
    assert all(mb > 300 or mb < 50 for mb in figures.values()), figures
    print(f"started by {parent}: " + ", ".join(f"{name} {mb}" for name, mb in shown.items()))
    return list(shown.values())


assert measured("a small process") == ["< 50 MB"] * 3
held = b"x" * 310_000_000
assert measured("one that used 300 MB") == ["> 300 MB", "< 50 MB", "< 50 MB"]
PYTHON
