"""The reference pages: current, complete, and true to the docstrings they are made of."""

from __future__ import annotations

import re
from pathlib import Path
from textwrap import dedent

import pytest

from codegen.reference.__main__ import FOLDER, differences, main, run
from codegen.reference.docstrings import summary, to_markdown
from codegen.reference.pages import pages
from mistral_offload import client, errors, storage, temporal, workflows
from mistral_offload.environment.variable_names import names_of
from mistral_offload.workflows import WorkerSettings

PACKAGE = FOLDER.parents[1] / "mistral_offload"


def page(name: str) -> str:
    return (FOLDER / name).read_text()


def headings(name: str) -> list[str]:
    return re.findall(r"^#+ `?([^`\n]+)`?$", page(name), re.MULTILINE)


def test_the_pages_are_current() -> None:
    assert differences(FOLDER, pages()) == {}


def test_differences_are_found_and_fixed(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = {"a.md": "a\n", "b.md": "b\n"}
    (tmp_path / "a.md").write_text("edited\n")
    (tmp_path / "old.md").write_text("old\n")
    assert run(tmp_path, expected, check=True) == 1
    printed = capsys.readouterr()
    assert "a.md: stale" in printed.out
    assert "b.md: missing" in printed.out
    assert "old.md: orphan" in printed.out
    assert "python -m codegen.reference" in printed.err
    assert run(tmp_path, expected, check=False) == 0
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == expected
    assert run(tmp_path, expected, check=True) == 0
    with pytest.raises(SystemExit):
        main(["--unknown"])


def test_every_method_of_the_client_has_a_section() -> None:
    shown = headings("client.md")
    for name in set(client.__all__) - {"Mistral"}:
        kind = getattr(client, name)
        methods = {method for method in dir(kind) if not method.startswith("_")}
        blocking = {method for method in methods if not method.endswith("_async")}
        assert len(blocking) >= 1
        assert blocking - set(shown) == set()
    assert len(shown) == len(set(shown)), "two headings have one anchor"


def test_every_error_has_a_section() -> None:
    assert set(errors.__all__) <= set(headings("errors.md"))


@pytest.mark.parametrize(
    ("name", "exported"),
    [
        ("stores.md", storage.__all__),
        ("temporal.md", temporal.__all__),
        ("worker.md", [name for name in workflows.__all__ if name != "WorkerSettings"]),
    ],
)
def test_every_public_name_is_there(name: str, exported: list[str]) -> None:
    text = page(name)
    assert [each for each in exported if f"`{each}`" not in text] == []


def test_every_variable_is_there_with_its_meaning() -> None:
    rows = dict(re.findall(r"^\| `(\w+)` \| .* \| (.*) \|$", page("variables.md"), re.MULTILINE))
    leaves = set(names_of(WorkerSettings))
    groups = {name.rpartition("__")[0] for name in leaves} - {""}
    groups |= {name for name in leaves if f"## `{name}`" in page("variables.md")}
    assert leaves - groups - set(rows) == set()
    assert [name for name in leaves - groups if not rows[name].strip()] == []


def test_every_variable_that_the_code_reads_by_name_is_there() -> None:
    text = page("variables.md")
    # The providers document theirs; the last one is of an example.
    foreign = re.compile(r"AWS_(?!CA_BUNDLE)\w+|AZURE_\w+|CLOUDSDK_\w+|APPDATA|PAYLOAD_KEY")
    named: set[str] = set()
    for path in PACKAGE.rglob("*.py"):
        source = path.read_text()
        named |= set(re.findall(r"environ(?:\.get\(|\[)\"(\w+)\"", source))
        named |= set(re.findall(r"^[A-Z_]+ = \"(MISTRAL_OFFLOAD_\w+[A-Z])\"", source, re.MULTILINE))
    assert len(named) > 8
    absent = {name for name in named if f"`{name.upper()}`" not in text}
    assert {name for name in absent if not foreign.fullmatch(name)} == set()


def test_every_setting_has_a_meaning() -> None:
    rows = re.findall(r"^\| `(\w+)` \|.*\| (.*) \|$", page("settings.md"), re.MULTILINE)
    assert len(rows) > 30
    assert [name for name, meaning in rows if not meaning.strip()] == []


def test_sections_of_a_docstring() -> None:
    text = dedent(
        """
        Do a thing with ``x``,
        over two lines.

        A list:

        - one, that goes
          over two lines
        - two

        As text::

            a
              b

        Example::

            do(1)

            do(2)

        Args:
            x: the number, and
                more about it.
            *others: more of them.

        Returns:
            The sum.

        Raises:
            StorageError, ValueError: it is wrong.
        """
    )
    assert summary(text) == "Do a thing with `x`, over two lines."
    assert to_markdown(text, lambda name: f"<{name}>") == "\n\n".join(
        [
            "Do a thing with `x`, over two lines.",
            "A list:",
            "- one, that goes over two lines\n- two",
            "As text:",
            "```text\na\n  b\n```",
            "```py\ndo(1)\n\ndo(2)\n```",
            "Arguments:\n\n- `x`: the number, and more about it.\n- `*others`: more of them.",
            "Returns: The sum.",
            "Raises:\n\n- <StorageError>, <ValueError>: it is wrong.",
        ]
    )
