from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import pytest

from checks.__main__ import ROOT
from checks.structure import (
    ALLOWED_NAMES,
    ROOMS_PAGE,
    find_circles,
    find_forbidden_imports,
    find_verbal_names,
)


def write(root: Path, **modules: str) -> None:
    """Write modules of ``package``; those in a folder are called ``folder/module``."""
    for name, text in {"__init__": "", **modules}.items():
        path = root / "package" / f"{name}.py"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


class TestCircles:
    def circles(self, root: Path) -> list[str]:
        return [str(problem) for problem in find_circles(root, ["package"])]

    @pytest.mark.parametrize(
        "back",
        [
            "import package.first",
            "from package import first",
            "from package.first import name",
            "from .first import name",
            "from . import first",
            "def function():\n    import package.first",
            "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from package import first",
        ],
    )
    def test_every_form_of_import_closes_a_circle(self, back: str, tmp_path: Path) -> None:
        write(tmp_path, first="from package.second import name", second=back)
        (found,) = self.circles(tmp_path)
        assert "import circle: package." in found
        assert {"package.first", "package.second"} < set(found.split())

    def test_a_circle_is_listed_in_the_order_of_its_imports(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            first="\nimport package.second",
            second="\nimport package.third",
            third="\nimport package.first",
        )
        (found,) = self.circles(tmp_path)
        names = found.split("circle: ")[1].split(";")[0].split(" imports ")
        assert len(names) == 4
        assert names[0] == names[-1]
        following = {"first": "second", "second": "third", "third": "first"}
        short = [name.removeprefix("package.") for name in names]
        assert all(following[one] == two for one, two in pairwise(short))
        assert found.startswith(f"package/{short[0]}.py:2: ")

    def test_a_package_that_imports_from_its_own_module_and_back(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            **{
                "room/__init__": "from package.room.inside import name",
                "room/inside": "from package.room import other",
            },
        )
        (found,) = self.circles(tmp_path)
        assert "package.room.inside" in found

    def test_two_circles_are_both_found(self, tmp_path: Path) -> None:
        pairs = {"a": "b", "b": "a", "c": "d", "d": "c"}
        write(tmp_path, **{name: f"import package.{other}" for name, other in pairs.items()})
        assert len(self.circles(tmp_path)) == 2

    def test_a_line_of_modules_is_no_circle(self, tmp_path: Path) -> None:
        write(
            tmp_path,
            __init__="from package.first import name",
            first="from package.second import name\nimport json",
            second="from package.room import inside",
            **{"room/__init__": "", "room/inside": ""},
        )
        assert self.circles(tmp_path) == []

    def test_the_project(self) -> None:
        assert find_circles(ROOT) == []


class TestRooms:
    PAGE = """# Page

## Rooms

| room | holds | may import |
|---|---|---|
| `errors`, `limits` | shared | each other |
| `storage/` | blobs | – |
| `temporal/wire/` | formats | `storage/` |
| `temporal/` | a codec | `temporal/wire/` |

## Laws
"""

    def refused(self, root: Path, page: str = PAGE, **modules: str) -> list[str]:
        (root / "docs").mkdir()
        (root / ROOMS_PAGE).write_text(page)
        for name, text in modules.items():
            path = root / "mistral_offload" / f"{name}.py"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
        return [str(problem) for problem in find_forbidden_imports(root)]

    def test_imports_that_the_table_allows(self, tmp_path: Path) -> None:
        modules = {
            "__init__": "from mistral_offload.temporal.codec import name",
            "errors": "import mistral_offload.limits",
            "limits": "",
            "storage/s3": "import mistral_offload.errors",
            "temporal/codec": "import mistral_offload.temporal.wire.form, mistral_offload.limits",
            "temporal/wire/form": "from mistral_offload.storage.s3 import name",
        }
        assert self.refused(tmp_path, **modules) == []

    @pytest.mark.parametrize(
        ("module", "text"),
        [
            ("storage/s3", "from mistral_offload.temporal import codec"),
            ("temporal/wire/form", "def f():\n    import mistral_offload.temporal.codec"),
            ("temporal/other", "\nimport mistral_offload.storage.s3"),
            ("errors", "\nimport mistral_offload.storage.s3"),
        ],
    )
    def test_imports_that_it_does_not_allow(self, module: str, text: str, tmp_path: Path) -> None:
        modules = {"temporal/codec": "", "storage/s3": "", module: text}
        (found,) = self.refused(tmp_path, **modules)
        line = 2 if "\n" in text else 1
        assert found.startswith(f"mistral_offload/{module}.py:{line}: ")
        assert "does not allow" in found

    def test_a_module_without_a_room(self, tmp_path: Path) -> None:
        (found,) = self.refused(tmp_path, **{"lobby/desk": ""})
        assert "module mistral_offload.lobby.desk belongs to no room" in found

    def test_a_page_without_the_table(self, tmp_path: Path) -> None:
        (found,) = self.refused(tmp_path, "# Page\n", limits="")
        assert "belongs to no room" in found

    def test_the_project(self) -> None:
        assert find_forbidden_imports(ROOT) == []


class TestNames:
    def names(self, root: Path, allowed: dict[str, str]) -> list[str]:
        return [problem.message for problem in find_verbal_names(root, ["package"], allowed)]

    def test_modules_packages_and_test_modules(self, tmp_path: Path) -> None:
        names = ("sending", "room/owning", "moving/__init__", "test_noting")
        write(tmp_path, **dict.fromkeys(names, ""))
        found = " ".join(self.names(tmp_path, {}))
        assert all(f"{name!r}" in found for name in ("sending", "owning", "moving", "test_noting"))

    def test_an_allowed_name_and_the_test_that_mirrors_it(self, tmp_path: Path) -> None:
        write(tmp_path, keyring="", test_keyring="", nouns="")
        assert self.names(tmp_path, {"keyring": "a noun"}) == []

    def test_an_allowed_name_that_no_module_has(self, tmp_path: Path) -> None:
        write(tmp_path, nouns="")
        assert self.names(tmp_path, {"keyring": "a noun"}) == [
            "ALLOWED_NAMES: no module is called 'keyring'"
        ]

    def test_the_project(self) -> None:
        assert find_verbal_names(ROOT) == []
        assert all(ALLOWED_NAMES.values())
