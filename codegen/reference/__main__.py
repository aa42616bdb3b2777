"""Generate the reference pages, or check that they are current.

    python -m codegen.reference            write changed pages, remove pages without a source
    python -m codegen.reference --check    compare the whole folder, exit 1 if a page differs

The folder ``docs/reference/`` belongs to the generator. Its pages are plain Markdown, so that they
are read where the repository is read, too.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from codegen.reference.pages import pages

COMMAND = "python -m codegen.reference"
FOLDER = Path(__file__).resolve().parents[2] / "docs" / "reference"


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(prog=COMMAND, description="Generate the reference pages.")
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a page differs"
    )
    return run(FOLDER, pages(), check=parser.parse_args(arguments).check)


def run(folder: Path, expected: Mapping[str, str], *, check: bool) -> int:
    """Check or write the pages of a folder, print the differences, and return the exit code."""
    differing = differences(folder, expected)
    for name, difference in differing.items():
        print(f"{'' if check else 'fixed '}docs/reference/{name}: {difference}")
    if check:
        if differing:
            print(f"\nTo fix: {COMMAND}", file=sys.stderr)
        return 1 if differing else 0
    folder.mkdir(exist_ok=True)
    for name in differing:
        if name in expected:
            (folder / name).write_bytes(expected[name].encode())
        else:
            (folder / name).unlink()
    return 0


def differences(folder: Path, expected: Mapping[str, str]) -> dict[str, str]:
    """Return a description of the difference for every page that differs."""
    present = {path.name: path.read_bytes() for path in folder.glob("*")}
    found: dict[str, str] = {}
    for name in sorted({*present, *expected}):
        if name not in expected:
            found[name] = "orphan: the generator does not write it"
        elif name not in present:
            found[name] = "missing: not generated yet"
        elif present[name] != expected[name].encode():
            found[name] = "stale: the code has changed since, or the page was edited by hand"
    return found


if __name__ == "__main__":
    sys.exit(main())
