"""``make fuzz`` runs every target under a coverage-guided fuzzer for a few seconds each.

Each runs in a separate process, bounded in time and memory. An input that raises anything but an
error of ours, or that takes too long, is printed in a form to paste into a test.
"""

from __future__ import annotations

import argparse
import re
import subprocess
import sys
import tempfile
from contextlib import suppress
from pathlib import Path

from rich.console import Console
from rich.table import Table

_MEMORY_MB = 1024
_LONGEST_SECONDS = 5
_START_SECONDS = 60


def main() -> int:
    """Fuzz all targets, or one; return 0 if nothing was found."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=10, help="for each target")
    parser.add_argument("--one", help="only this target, in this process")
    parser.add_argument("--folder", type=Path, help="where its inputs are")
    options = parser.parse_args()
    if options.one is not None:
        fuzz(options.one, options.seconds, options.folder)
    from tests.fuzz.targets import TARGETS

    table = Table("target", "inputs", "outcome")
    findings: list[str] = []
    for name in TARGETS:
        said = run(name, options.seconds)
        inputs = re.findall(r"^#(\d+)", said, re.MULTILINE)
        found = re.search(r"INPUT: (.*)", said)
        if found is not None:
            findings.append(f"{name}: {found[1]}\n{said[-2000:]}")
        table.add_row(name, inputs[-1] if inputs else "0", "fine" if found is None else "FOUND")
        if not inputs:
            findings.append(f"{name} did not run:\n{said[-2000:]}")
    Console().print(table)
    for finding in findings:
        print(finding)
    return 1 if findings else 0


def run(name: str, seconds: int) -> str:
    """Fuzz one target in a separate process; return its output."""
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        command = [sys.executable, "-m", "tests.fuzz.run", "--one", name]
        command += ["--seconds", str(seconds), "--folder", folder]
        ended = subprocess.run(
            command,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=seconds + _LONGEST_SECONDS + _START_SECONDS,
        )
        kept = [path.read_bytes() for path in Path(folder).glob("found-*")]
    if ended.returncode != 0:
        return f"{ended.stdout}\nINPUT: {kept[0]!r}" if kept else f"{ended.stdout}\nINPUT: unknown"
    return ended.stdout


def fuzz(name: str, seconds: int, folder: Path) -> None:
    """Fuzz one target; ends the process."""
    import atheris

    with atheris.instrument_imports(include=["mistral_offload"]):
        from tests.fuzz.targets import TARGETS
    from mistral_offload.errors import MistralOffloadError

    target = TARGETS[name]
    corpus = folder / "corpus"
    corpus.mkdir()
    for number, seed in enumerate(target.seeds):
        (corpus / str(number)).write_bytes(seed)

    def read(data: bytes) -> None:
        with suppress(MistralOffloadError):
            target.read(data)

    limits = [
        f"-max_total_time={seconds}",
        f"-rss_limit_mb={_MEMORY_MB}",
        f"-timeout={_LONGEST_SECONDS}",
        f"-artifact_prefix={folder}/found-",
        "-max_len=4096",
    ]
    atheris.Setup([sys.argv[0], *limits, str(corpus)], read)
    atheris.Fuzz()


if __name__ == "__main__":
    sys.exit(main())
