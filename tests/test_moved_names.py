"""The tables of moved names in the changelog: the new names exist, the old ones do not."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[1] / "CHANGELOG.md").read_text()


def moves() -> list[tuple[str, str]]:
    """Read before and now of every row; several names in a cell are several moves."""
    section = TEXT.partition("#### Moved names\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*`) \| (`.*`) \|$", section, re.MULTILINE)
    names = [[re.findall(r"`([\w.]+)`", cell) for cell in row] for row in rows]
    return [
        (before[min(number, len(before) - 1)], now[min(number, len(now) - 1)])
        for before, now in names
        for number in range(max(len(before), len(now)))
    ]


def exists(name: str) -> bool:
    """Return True for a module, or a name in one."""
    full = f"mistral_offload.{name}"
    try:
        importlib.import_module(full)
    except ModuleNotFoundError as error:
        if not f"{full}.".startswith(f"{error.name}."):  # a package that the module needs
            raise
    else:
        return True
    module, _, member = full.rpartition(".")
    try:
        return hasattr(importlib.import_module(module), member)
    except ModuleNotFoundError:
        return False


@pytest.mark.parametrize(("before", "now"), moves())
def test_the_new_name_exists_and_the_old_one_does_not(before: str, now: str) -> None:
    assert exists(now)
    assert not exists(before)


def test_the_tables_are_read_whole() -> None:
    rooms = {before.partition(".")[0] for before, _ in moves()}
    assert {"api", "storage", "temporal", "workflows", "devserver", "cli"} <= rooms
    assert len(moves()) > 90
