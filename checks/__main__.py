"""`python -m checks`: run every check, print the problems, exit with 1 when there are any."""

from __future__ import annotations

import sys
from pathlib import Path

from checks.language import find_question_docstrings, find_retired_words
from checks.structure import find_circles, find_forbidden_imports, find_verbal_names

ROOT = Path(__file__).resolve().parent.parent

CHECKS = (
    find_circles,
    find_forbidden_imports,
    find_verbal_names,
    find_question_docstrings,
    find_retired_words,
)


def main(root: Path = ROOT) -> int:
    """Run the checks on a source tree; the outcome is the exit code."""
    problems = [problem for check in CHECKS for problem in check(root)]
    for problem in problems:
        print(problem)
    if problems:
        print(f"\n{len(problems)} problems", file=sys.stderr)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
