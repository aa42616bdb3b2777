"""Generate the sync twin of the async code, or check that it is up to date.

    python -m codegen.sync_twin            write changed files, remove files without a source
    python -m codegen.sync_twin --check    compare whole trees, exit 1 if they differ

The naming rule: a function that awaits ends in ``_async``, and its twin has the same name without
this suffix. The table of renames is computed from the sources:

- every name that ends in ``_async`` loses the suffix; the folder ``_async`` becomes ``_sync``;
- every class ``AsyncXyz`` that the sources define becomes ``SyncXyz``;
- `FOREIGN_NAMES` lists renames of names defined elsewhere; an entry no source uses is an error.

Strings are not translated, with two exceptions. A string that equals a renamed name is renamed, as
in ``__all__``. In docstrings, renamed names are translated, and ``await`` before a call and
``async`` before ``with``, ``for`` and ``def`` are removed, so that examples stay valid. A docstring
that still contains an async word is refused. Comments are not checked.

Code that would be translated wrongly is refused with file and line (see `codegen.refusals`), and
nothing is written. A target folder belongs to the generator, which removes all other files in it.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from codegen.sources import Pair, RefusedError, list_files, read_sources
from codegen.translation import COMMAND, has_banner, is_edited, translate

ROOT = Path(__file__).resolve().parent.parent

PAIRS: Sequence[Pair] = (
    Pair("mistral_offload/_async", "mistral_offload/_sync"),
    Pair("tests/_async", "tests/_sync"),
)

FOREIGN_NAMES: Mapping[str, str] = {
    "AsyncClient": "Client",
    "aclose": "close",
    "async_client": "client",
}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        prog=COMMAND, description="Generate the sync twin of the async code."
    )
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit 1 if a file differs"
    )
    return run(ROOT, PAIRS, FOREIGN_NAMES, check=parser.parse_args(arguments).check)


def run(root: Path, pairs: Sequence[Pair], foreign: Mapping[str, str], *, check: bool) -> int:
    """Check or generate, print the differences found, and return the exit code."""
    try:
        expected = translate(root, read_sources(root, pairs), foreign)
    except RefusedError as refused:
        print(refused, file=sys.stderr)
        return 1
    found = compare(root, pairs, expected)
    for path, difference in found.items():
        print(f"{'' if check else 'fixed '}{path}: {difference}")
    if not check:
        write(root, expected, found)
        return 0
    if found:
        print(f"\nTo fix: {COMMAND}", file=sys.stderr)
    return 1 if found else 0


def compare(root: Path, pairs: Sequence[Pair], expected: Mapping[str, str]) -> dict[str, str]:
    """Compare the target folders with the expected files.

    Returns:
        A description of the difference for every path that differs.
    """
    present = [f"{pair.target}/{name}" for pair in pairs for name in list_files(root / pair.target)]
    differences = {
        path: _difference(root / path, expected.get(path)) for path in {*present, *expected}
    }
    return {path: difference for path, difference in sorted(differences.items()) if difference}


def write(root: Path, expected: Mapping[str, str], differences: Mapping[str, str]) -> None:
    """Write the files that differ, and remove those that are not expected."""
    for name in differences:
        path = root / name
        if name in expected:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(expected[name].encode())
        else:
            path.unlink()


def _difference(path: Path, expected: str | None) -> str:
    if expected is None:
        return "orphan: it has no source"
    if not path.exists():
        return "missing: not generated yet"
    present = path.read_bytes()
    if present == expected.encode():
        return ""
    text = present.decode(errors="replace")
    if not has_banner(text):
        return "banner missing: not written by the generator"
    if is_edited(text):
        return "edited by hand: make the change in its source"
    return "stale: its source, or a name it uses, has changed since"


if __name__ == "__main__":
    sys.exit(main())
