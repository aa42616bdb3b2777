"""Docstrings in Google style as Markdown."""

from __future__ import annotations

import re
import textwrap
from collections.abc import Callable, Iterator

_SECTION = re.compile(
    r"(Args|Attributes|Returns|Yields|Raises|Example|Examples|Note):{1,2}", re.ASCII
)
_ITEM = re.compile(r"(\*{0,2}[\w.]+(?:, \*{0,2}[\w.]+)*): (.*)", re.DOTALL)
_TITLES = {"Args": "Arguments", "Examples": "Example"}
_LITERAL = re.compile(r"``(.+?)``", re.DOTALL)

Link = Callable[[str], str]
"""Turns the name of an error into Markdown that links to its description."""


def code(name: str) -> str:
    """Return a name as inline code."""
    return f"`{name}`"


def summary(docstring: str) -> str:
    """Return the first paragraph on one line."""
    return inline(docstring.strip().partition("\n\n")[0])


def inline(text: str) -> str:
    """Return a paragraph on one line, with literals as Markdown spells them."""
    return " ".join(_LITERAL.sub(r"`\1`", text).split())


def to_markdown(docstring: str, link: Link = code) -> str:
    """Return a docstring as Markdown: paragraphs, lists of its sections, and fenced examples.

    The language of examples is ``py``. They are fragments: a page's programs are ``python``, and
    complete. Signatures are ``pyi``.
    """
    parts: list[str] = []
    for title, text in _sections(docstring):
        if title in ("Example", "Examples"):
            is_code = not text.startswith("``")
            parts.append(_fence("py", text) if is_code else f"Example: {inline(text)}")
        elif title in ("Args", "Attributes", "Raises"):
            items = [_item(item, link if title == "Raises" else code) for item in _items(text)]
            parts.append(f"{_TITLES.get(title, title)}:\n\n" + "\n".join(items))
        elif title:
            parts.append(f"{_TITLES.get(title, title)}: {inline(text)}")
        else:
            parts.extend(_paragraphs(text))
    return "\n\n".join(parts)


def _sections(docstring: str) -> Iterator[tuple[str, str]]:
    """Yield title and text of each section; the text before the first has an empty title."""
    title = ""
    lines: list[str] = []
    for line in docstring.strip().splitlines():
        match = _SECTION.fullmatch(line)
        # A section ends where the indentation does.
        ended = bool(title and line and not line.startswith(" "))
        if match or ended:
            if "".join(lines).strip():
                yield title, textwrap.dedent("\n".join(lines)).strip("\n")
            title, lines = (match[1] if match else ""), []
        if not match:
            lines.append(line)
    if "".join(lines).strip():
        yield title, textwrap.dedent("\n".join(lines)).strip("\n")


def _items(text: str) -> Iterator[str]:
    """Yield the entries of a section; further lines of an entry are indented."""
    for entry in re.split(r"\n(?=\S)", text):
        yield " ".join(entry.split())


def _item(text: str, shown: Link) -> str:
    match = _ITEM.fullmatch(text)
    if match is None:
        return f"- {inline(text)}"
    names = ", ".join(shown(name) for name in match[1].split(", "))
    return f"- {names}: {inline(match[2])}"


def _paragraphs(text: str) -> Iterator[str]:
    """Yield paragraphs, lists, and, after one that ends in ``::``, literal blocks."""
    blocks = re.split(r"\n{2,}", text)
    position = 0
    while position < len(blocks):
        block = blocks[position]
        position += 1
        if not block.endswith("::"):
            yield _list(block) if block.lstrip().startswith("- ") else inline(block)
            continue
        yield inline(block.removesuffix(":"))
        literal: list[str] = []
        while position < len(blocks) and blocks[position].startswith(" "):
            literal.append(blocks[position])
            position += 1
        yield _fence("text", textwrap.dedent("\n\n".join(literal)))


def _list(block: str) -> str:
    return "\n".join(inline(entry) for entry in re.split(r"\n(?=- )", block))


def _fence(language: str, text: str) -> str:
    return f"```{language}\n{text.strip(chr(10))}\n```"
