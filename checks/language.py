"""The words of docstrings, comments, string literals and pages."""

from __future__ import annotations

import ast
import io
import itertools
import re
import tokenize
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from checks.sources import Problem, list_files, relative

DOCSTRING_FOLDERS = ("mistral_offload", "tests", "benchmarks", "codegen", "checks", "examples")
QUESTION_SHARE = 0.01
"""Largest share of docstrings that may begin with a question word."""

PROSE_FOLDERS = ("mistral_offload", "examples")
"""Folders whose docstrings, comments and string literals are read for retired words."""

PAGE_FOLDERS = ("docs", "examples", "findings", "tests")
"""Folders whose pages are read whole, besides the pages of the root."""

_OPENERS = re.compile(r"(?:What|Who|Whose|Whom|Where|Whether|Which|How)\b")

RETIRED_WORDS: Mapping[str, str] = {
    r"colou?rs?": "sync/async, or 'both forms'",
    r"mend(?:s|ed|ing)?": "fix, repair",
    r"(?:go|goes|going|gone|went) on": "continue, is still running",
    r"questions?": "poll, request, query",
    r"answer(?:s|ed|ing)?": "response, reply; respond, return",
    r"(?:try|tries|tried|trying) again": "retry",
    r"whoever|whomever": "the caller, the client, the reader",
    r"nobody|somebody": "the caller, the client; or name the thing that happens",
    r"(?:is|are|was|were|be|been) (?:told|asked)": "receives, is configured with, is requested",
    r"asked (?:of|by)": "requested from, called by",
    r"what there is": "name the thing",
    r"departures?": "outbox entry, outgoing payload",
    r"doom(?:s|ed|ing)?": "terminate, termination",
    r"undeliverable": "lost payload",
    r"census": "executions known to Temporal",
}
"""Words that the project no longer uses, as patterns, each with the words to use instead."""


class Exemption(NamedTuple):
    """A use of a retired word that is right.

    Attributes:
        path: the file.
        phrase: text around the word as it stands there; every occurrence in the file is exempt.
        reason: why the word is the right one.
    """

    path: str
    phrase: str
    reason: str


_FORMER_NAMES = (
    "`api.answers`",
    "`api.answers.broken_frame`",
    "`api.answers.may_help`",
    "`api.answers.read_answer`",
    "`api.answers.read_document`",
    "`api.answers.read_members`",
    "`api.models.base.Answer`",
    "`api.models.base.Question`",
    "`cleanup.census`",
    "`cleanup.census.Census`",
    "`devserver.answers`",
    "`temporal.departures`",
    "`temporal.departures.Departure`",
    "`temporal.departures.Departures`",
    "`temporal.departures.find_departure`",
    "`temporal.dooming`",
    "`temporal.dooming.doom`",
    "`temporal.dooming.end_doomed`",
    "`temporal.undeliverable`",
    "`temporal.undeliverable.Undeliverable`",
)

_CHECK_ID_FILES = (
    "docs/doctor.md",
    "mistral_offload/doctor/access.py",
    "mistral_offload/doctor/platform.py",
    "mistral_offload/doctor/temporal.py",
)

EXEMPTIONS: Sequence[Exemption] = (
    *(Exemption(path, "platform.answer", "the id of a check, in JSON") for path in _CHECK_ID_FILES),
    *(Exemption("CHANGELOG.md", name, "a former name, in a table") for name in _FORMER_NAMES),
    Exemption(
        "mistral_offload/temporal/failures/lost_payloads.py",
        "binary/undeliverable",
        "the encoding's name on the wire",
    ),
)


def find_question_docstrings(
    root: Path, folders: Sequence[str] = DOCSTRING_FOLDERS, share: float = QUESTION_SHARE
) -> list[Problem]:
    """Find docstrings that begin with a question word.

    Returns:
        All of them when they are more than ``share`` of all docstrings, else an empty list.
    """
    count = 0
    found: list[Problem] = []
    for path in list_files(root, folders, ".py"):
        for line, text in docstrings(path.read_text()):
            count += 1
            if match := _OPENERS.match(text.lstrip()):
                first = text.strip().splitlines()[0]
                message = (
                    f"docstring begins with {match[0]!r}; begin with a verb or a noun phrase: "
                    f"{first}"
                )
                found.append(Problem(relative(root, path), line, message))
    return found if len(found) > share * count else []


def find_retired_words(
    root: Path,
    words: Mapping[str, str] = RETIRED_WORDS,
    exemptions: Sequence[Exemption] = EXEMPTIONS,
) -> list[Problem]:
    """Find retired words, and exemptions that exempt nothing."""
    problems: list[Problem] = []
    used: set[Exemption] = set()
    patterns = {_pattern(word): instead for word, instead in words.items()}
    for path, text in _texts(root):
        exempt = [
            (match.span(), exemption)
            for exemption in exemptions
            if exemption.path == path
            for match in re.finditer(re.escape(exemption.phrase), text)
        ]
        for pattern, instead in patterns.items():
            for match in pattern.finditer(text):
                covering = [
                    exemption
                    for (start, end), exemption in exempt
                    if start <= match.start() and match.end() <= end
                ]
                used.update(covering)
                if not covering:
                    line = text.count("\n", 0, match.start()) + 1
                    message = f"retired word {' '.join(match[0].split())!r}; instead: {instead}"
                    problems.append(Problem(path, line, message))
    problems.extend(
        Problem(exemption.path, 1, f"EXEMPTIONS: {exemption.phrase!r} exempts nothing; remove it")
        for exemption in exemptions
        if exemption not in used
    )
    return sorted(problems)


def docstrings(source: str) -> Iterator[tuple[int, str]]:
    """Yield line and text of each docstring: of modules, classes, functions and attributes."""
    for node in ast.walk(ast.parse(source)):
        body: list[ast.stmt] = getattr(node, "body", None) or []
        if not isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        for number, statement in enumerate(body):
            follows = number == 0 or isinstance(body[number - 1], ast.Assign | ast.AnnAssign)
            if (
                follows
                and isinstance(statement, ast.Expr)
                and isinstance(statement.value, ast.Constant)
                and isinstance(statement.value.value, str)
            ):
                yield statement.lineno, statement.value.value


def prose(source: str) -> str:
    """Blank out everything of a module but its comments and strings.

    Line breaks stay, and so does the place of every word, which a phrase over several lines, or
    over several literals, is found by.
    """
    lines = source.splitlines(keepends=True)
    starts = [0, *itertools.accumulate(map(len, lines))]
    shown = list(re.sub(r"[^\n]", " ", source))
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        kind = tokenize.tok_name[token.type]
        if kind in ("COMMENT", "STRING", "FSTRING_MIDDLE"):
            start, end = (starts[row - 1] + column for row, column in (token.start, token.end))
            text = source[start:end]
            if kind == "COMMENT":
                text = " " + text[1:]
            elif kind == "STRING":
                text = _string_content(text)
            shown[start:end] = text
    return "".join(shown)


def _string_content(literal: str) -> str:
    """Blank out the delimiters of a string, and the code in an f-string."""
    prefix = len(literal) - len(literal.lstrip("BFRUbfru"))
    quotes = 3 if literal[prefix:].startswith(('"""', "'''")) else 1
    content = literal[prefix + quotes : -quotes]
    if "f" in literal[:prefix].lower():  # one token before Python 3.12
        content = re.sub(r"\{[^{}]*\}", lambda field: re.sub(r"[^\n]", " ", field[0]), content)
    return " " * (prefix + quotes) + content + " " * quotes


def _texts(root: Path) -> Iterator[tuple[str, str]]:
    for path in list_files(root, PROSE_FOLDERS, ".py"):
        yield relative(root, path), prose(path.read_text())
    for path in [*sorted(root.glob("*.md")), *list_files(root, PAGE_FOLDERS, ".md")]:
        yield relative(root, path), path.read_text()


def _pattern(word: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{word})\b".replace(" ", r"\s+"), re.IGNORECASE)
