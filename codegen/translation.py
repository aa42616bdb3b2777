"""Translation of async modules to the text of their sync twins."""

from __future__ import annotations

import hashlib
import re
import subprocess
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import unasync  # pyright: ignore[reportMissingTypeStubs]
from ruff import (  # type: ignore[import-untyped]  # pyright: ignore[reportMissingTypeStubs]
    find_ruff_bin,
)

from codegen.names import docstring_twin, is_async, rename_table
from codegen.refusals import find_problems
from codegen.sources import Problem, RefusedError, Source, Token, tokenize

COMMAND = "python -m codegen.sync_twin"

_BANNER = """\
# Generated from {path}. Do not edit: change that file, then run
#     {command}
# sha256 of the rest: {digest}
"""
_BANNER_PATTERN = re.compile(r"# Generated from .+\n# .+\n# sha256 of the rest: (\w+)\n")
_PLAIN_STRING = re.compile(r"""(["'])(\w+)\1""")


def translate(root: Path, sources: Sequence[Source], foreign: Mapping[str, str]) -> dict[str, str]:
    """Translate the sources without writing files.

    Returns:
        The text of every generated module by its path relative to the root.

    Raises:
        RefusedError: a source contains code that would be translated wrongly.
    """
    table = rename_table(sources, foreign)
    _refuse(find_problems(sources, table, foreign))
    code = _run_unasync(sources, table)
    _refuse([problem for source in sources for problem in _leftovers(source, code[source.target])])
    packages = sorted({source.target.partition("/")[0] for source in sources})
    twins: dict[str, str] = {}
    for source in sources:
        text = _restore_literals(source, code[source.target], table)
        text = _tidy(root, source.target, text, packages)
        twins[source.target] = _with_banner(source, text)
    return twins


def has_banner(text: str) -> bool:
    """Return True when a text has the generator's banner."""
    return _BANNER_PATTERN.match(text) is not None


def is_edited(text: str) -> bool:
    """Return True when a generated text was changed after it was generated."""
    banner = _BANNER_PATTERN.match(text)
    return banner is None or banner[1] != _digest(text[banner.end() :])


def _refuse(problems: Sequence[Problem]) -> None:
    if problems:
        raise RefusedError(problems)


def _run_unasync(sources: Iterable[Source], table: dict[str, str]) -> dict[str, str]:
    """Run unasync on the code with emptied strings, which `_restore_literals` puts back."""
    with TemporaryDirectory() as scratch:
        # unasync overwrites its input when a rule matches nothing in the path, so it is given
        # copies with absolute paths.
        before, after = Path(scratch).resolve() / "before", Path(scratch).resolve() / "after"
        for source in sources:
            copy = before / source.target
            copy.parent.mkdir(parents=True, exist_ok=True)
            copy.write_bytes(_hide_literals(source.tokens).encode())
        paths = [str(before / source.target) for source in sources]
        rule = unasync.Rule(str(before), str(after), table)
        unasync.unasync_files(paths, [rule])  # pyright: ignore[reportUnknownMemberType]
        targets = [source.target for source in sources]
        return {target: (after / target).read_text(encoding="utf-8") for target in targets}


def _hide_literals(tokens: Iterable[Token]) -> str:
    # unasync mangles strings that start with "Async", and translates f-strings only on some Python
    # versions. The newlines are kept, so that line numbers of the result match the source.
    return "".join(
        '"""' + "\n" * token.text.count("\n") + '"""' if token.kind == "STRING" else token.text
        for token in tokens
    )


def _restore_literals(source: Source, code: str, table: Mapping[str, str]) -> str:
    """Put the strings back; unasync drops none, so the n-th empty one is the n-th of the source."""
    strings = (token for token in source.tokens if token.kind == "STRING")
    return "".join(
        _translate_string(source, next(strings), table) if token.kind == "STRING" else token.text
        for token in tokenize(code)
    )


def _translate_string(source: Source, token: Token, table: Mapping[str, str]) -> str:
    if source.is_docstring(token):
        return docstring_twin(token.text, table)
    plain = _PLAIN_STRING.fullmatch(token.text)
    if plain is not None and plain[2] in table:
        return plain[1] + table[plain[2]] + plain[1]
    return token.text


def _leftovers(source: Source, code: str) -> list[Problem]:
    message = "{!r} is left over in the twin; add it to FOREIGN_NAMES if it is defined elsewhere"
    return [
        source.problem(token.line, message.format(token.text))
        for token in tokenize(code)
        if token.kind == "NAME" and is_async(token.text)
    ]


def _tidy(root: Path, path: str, text: str, packages: Sequence[str]) -> str:
    """Sort the imports, two of which may have become one, and format the text.

    The packages are listed for ruff because it treats a module without a file as third-party.
    """
    ours = ", ".join(f'"{package}"' for package in packages)
    sort = (
        *("check", "--select", "I", "--fix-only", "--quiet"),
        *("--config", "lint.per-file-ignores = {}"),
        *("--config", f"lint.isort.known-first-party = [{ours}]"),
    )
    return _ruff(root, path, ("format", "--quiet"), _ruff(root, path, sort, text))


def _ruff(root: Path, path: str, arguments: Sequence[str], text: str) -> str:
    command = [find_ruff_bin(), *arguments, "--stdin-filename", str(root / path), "-"]
    done = subprocess.run(command, cwd=root, input=text.encode(), capture_output=True, check=False)
    if done.returncode:
        raise RuntimeError(f"ruff failed on the twin of {path}: {done.stderr.decode()}")
    return done.stdout.decode()


def _with_banner(source: Source, text: str) -> str:
    # The blank line keeps the banner from becoming the comment of the first import.
    body = f"\n{text}" if text else ""
    return _BANNER.format(path=source.path, command=COMMAND, digest=_digest(body)) + body


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()[:16]
