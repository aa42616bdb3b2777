from __future__ import annotations

from pathlib import Path

import pytest

from checks.__main__ import main
from checks.language import (
    EXEMPTIONS,
    RETIRED_WORDS,
    Exemption,
    find_question_docstrings,
    find_retired_words,
    prose,
)

MODULE = '''"""Sends mail."""

WIDTH = 3
"""How wide it is."""


class Letter:
    """Whose letter.

    Attributes:
        what: not the beginning.
    """

    def read(self):
        """Where it is read."""


async def post():
    """Return True when sent."""
'''


class TestDocstrings:
    def write(self, root: Path, text: str) -> None:
        (root / "package").mkdir(exist_ok=True)
        (root / "package" / "module.py").write_text(text)

    def test_every_kind_of_docstring_is_read(self, tmp_path: Path) -> None:
        self.write(tmp_path, MODULE)
        found = find_question_docstrings(tmp_path, ["package"])
        assert {(problem.line, problem.message.split("'")[1]) for problem in found} == {
            (4, "How"),
            (8, "Whose"),
            (15, "Where"),
        }

    @pytest.mark.parametrize(("share", "count"), [(0.4, 3), (0.6, 0)])
    def test_few_enough_are_let_pass(self, share: float, count: int, tmp_path: Path) -> None:
        self.write(tmp_path, MODULE)
        assert len(find_question_docstrings(tmp_path, ["package"], share)) == count

    def test_words_that_only_begin_like_one(self, tmp_path: Path) -> None:
        self.write(tmp_path, '"""Whole payloads."""\n\n"""What, a string, no docstring."""\n')
        assert find_question_docstrings(tmp_path, ["package"], 0) == []


WORDS = {r"answer(?:s|ed)?": "response", r"(?:go|goes) on": "continue"}


class TestRetiredWords:
    def found(self, root: Path, *exemptions: Exemption) -> list[str]:
        return [str(each) for each in find_retired_words(root, WORDS, exemptions)]

    def write(self, root: Path, name: str, text: str) -> None:
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        (root / name).write_text(text)

    @pytest.mark.parametrize(
        "text",
        [
            '"""Reads the answer."""',
            "x = 1  # The Answer.",
            "x = 'answered'",
            'x = f"{y} answers"',
            '"""It goes\n    on."""',
            "# and it goes\n# on",
            'x = ("it goes "\n     "on")',
        ],
    )
    def test_docstrings_comments_and_strings(self, text: str, tmp_path: Path) -> None:
        self.write(tmp_path, "mistral_offload/room/module.py", text)
        (found,) = self.found(tmp_path)
        assert found.startswith("mistral_offload/room/module.py:1: retired word ")

    @pytest.mark.parametrize(
        "text", ["answer = 1", "x = f'{answer}'", "x = f'{answer.size:,} bytes'", "# unanswered"]
    )
    def test_names_in_code_are_left_alone(self, text: str, tmp_path: Path) -> None:
        self.write(tmp_path, "mistral_offload/module.py", text)
        assert self.found(tmp_path) == []

    @pytest.mark.parametrize(
        "name", ["README.md", "CHANGELOG.md", "docs/page.md", "docs/room/page.md", "examples/a.md"]
    )
    def test_pages_are_read_whole(self, name: str, tmp_path: Path) -> None:
        self.write(tmp_path, name, "# Title\n\n```python\nanswer = 1\n```\n")
        assert self.found(tmp_path) == [f"{name}:4: retired word 'answer'; instead: response"]

    def test_the_generated_twin_is_left_out(self, tmp_path: Path) -> None:
        self.write(tmp_path, "mistral_offload/_sync/module.py", "# answer")
        assert self.found(tmp_path) == []

    def test_an_exemption_exempts_its_phrase_only(self, tmp_path: Path) -> None:
        self.write(tmp_path, "README.md", "the answer to everything\nthe answer\n")
        exemption = Exemption("README.md", "answer to everything", "a quotation")
        (found,) = self.found(tmp_path, exemption)
        assert found.startswith("README.md:2: ")

    def test_an_exemption_that_exempts_nothing(self, tmp_path: Path) -> None:
        self.write(tmp_path, "README.md", "everything\n")
        (found,) = self.found(tmp_path, Exemption("README.md", "everything", "a quotation"))
        assert "exempts nothing" in found

    def test_every_word_has_a_replacement_and_every_exemption_a_reason(self) -> None:
        assert all(RETIRED_WORDS.values())
        assert all(exemption.reason for exemption in EXEMPTIONS)


def test_prose_keeps_the_place_of_each_word() -> None:
    source = 'def f(a):\n    """Doc."""\n    return rb"bytes", f"x{a}y"  # why\n'
    shown = prose(source)
    assert shown.split() == ["Doc.", "bytes", "x", "y", "why"]
    assert all(shown.index(word) == source.index(word) for word in ("Doc.", "bytes", "why"))


def test_the_command_prints_problems_and_fails(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "README.md").write_text("Nobody reads this.\n")
    assert main(tmp_path) == 1
    assert "README.md:1: retired word 'Nobody'" in capsys.readouterr().out
