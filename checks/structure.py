"""Imports and module names."""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping, Sequence
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

from checks.sources import Problem, list_files, relative

PACKAGES = ("mistral_offload", "benchmarks", "codegen", "checks")
"""Packages whose modules may not import each other in a circle."""

ROOMS_PAGE = "docs/architecture.md"
ROOMS_PACKAGES = ("mistral_offload",)

NAMED_FOLDERS = ("mistral_offload", "tests", "benchmarks", "codegen", "checks", "examples")
"""Folders whose modules are named by nouns."""

ALLOWED_NAMES: Mapping[str, str] = {
    "encoding": "a noun, and part of two import paths of the official SDK",
    "keyring": "a noun",
    "loop_warning": "a noun: the warning for blocking calls on an event loop",
    "offloading": "the field's own name of the feature, as in PayloadOffloadingConfig",
    "recording": "a noun: what a microphone has recorded",
    "scaling": "the field's name of the property that is measured",
    "testing": "the noun for the discipline, as in the scientific packages' modules of this name",
    "typing": "the noun for the discipline, as in the standard library's module",
}
"""Names that end in -ing, each with the reason why it says what the module holds.

A test module ``test_<name>`` is allowed where ``<name>`` is.
"""


def find_circles(root: Path, packages: Sequence[str] = PACKAGES) -> list[Problem]:
    """Find modules that import each other in a circle.

    Every import counts, also those in functions and below ``if TYPE_CHECKING``.
    """
    modules = {_module_name(root, path): path for path in list_files(root, packages, ".py")}
    imports = {name: _imports(name, path, modules) for name, path in modules.items()}
    problems: list[Problem] = []
    while circle := _circle(imports):
        first, second = circle[0], circle[1]
        line = imports[first].pop(second)
        message = (
            f"import circle: {' imports '.join(circle)}; move what both need into its own file"
        )
        problems.append(Problem(relative(root, modules[first]), line, message))
    return problems


def find_verbal_names(
    root: Path,
    folders: Sequence[str] = NAMED_FOLDERS,
    allowed: Mapping[str, str] = ALLOWED_NAMES,
) -> list[Problem]:
    """Find modules and packages whose name ends in -ing, and allowed names that no module has."""
    problems: list[Problem] = []
    used: set[str] = set()
    for path in list_files(root, folders, ".py"):
        stem = path.parent.name if path.name == "__init__.py" else path.stem
        name = stem.removeprefix("test_")
        used.add(name)
        if name.endswith("ing") and name not in allowed:
            message = f"module name {stem!r} ends in -ing: name the thing, by a noun"
            problems.append(Problem(relative(root, path), 1, message))
    problems.extend(
        Problem(f"checks/{Path(__file__).name}", 1, f"ALLOWED_NAMES: no module is called {name!r}")
        for name in sorted(allowed.keys() - used)
    )
    return problems


def find_forbidden_imports(root: Path) -> list[Problem]:
    """Find imports that the table of rooms in the architecture page does not allow."""
    rooms = _rooms(root / ROOMS_PAGE)
    shared = {name for name, allowed in rooms.items() if allowed is None}
    modules = {_module_name(root, path): path for path in list_files(root, ROOMS_PACKAGES, ".py")}
    problems: list[Problem] = []
    for name, path in modules.items():
        room = _room(name, rooms)
        if name in ROOMS_PACKAGES:  # it re-exports, from wherever
            continue
        if room is None:
            message = f"module {name} belongs to no room of {ROOMS_PAGE}"
            problems.append(Problem(relative(root, path), 1, message))
            continue
        allowed = shared | {room} | (rooms[room] or set())
        for target, line in _imports(name, path, modules).items():
            other = _room(target, rooms)
            if other is not None and other not in allowed:
                message = f"{room} imports {target}, which {ROOMS_PAGE} does not allow"
                problems.append(Problem(relative(root, path), line, message))
    return problems


def _rooms(page: Path) -> dict[str, set[str] | None]:
    """Read which rooms each room may import; None marks those that every room may import."""
    text = page.read_text() if page.exists() else ""
    section = text.partition("\n## Rooms\n")[2].partition("\n## ")[0]
    rooms: dict[str, set[str] | None] = {}
    for row in re.findall(r"^\| (`.*) \|$", section, re.MULTILINE):
        cells = row.split(" | ")
        names, allowed = (
            {name.strip("/").replace("/", ".") for name in re.findall(r"`([\w/]+)`", cell)}
            for cell in (cells[0], cells[-1])
        )
        rooms.update(dict.fromkeys(names, None if cells[-1] == "each other" else allowed))
    return rooms


def _room(module: str, rooms: Mapping[str, object]) -> str | None:
    """Return the innermost room of a module, None when it is in none."""
    name = module.partition(".")[2]
    while name and name not in rooms:
        name = name.rpartition(".")[0]
    return name or None


def _module_name(root: Path, path: Path) -> str:
    return ".".join(path.relative_to(root).with_suffix("").parts).removesuffix(".__init__")


def _imports(name: str, path: Path, modules: Mapping[str, Path]) -> dict[str, int]:
    """Map the modules that one imports by name to the line of the first such import."""
    found: dict[str, int] = {}
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            targets = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = _base(name, path, node)
            # "from package import name" takes a submodule, or a name of the package itself.
            targets = [
                submodule if (submodule := f"{base}.{alias.name}") in modules else base
                for alias in node.names
            ]
        else:
            continue
        for target in targets:
            if target in modules and target != name:
                found.setdefault(target, node.lineno)
    return found


def _base(name: str, path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    parents = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    kept = parents[: len(parents) - node.level + 1]
    return ".".join([*kept, *([node.module] if node.module else [])])


def _circle(imports: Mapping[str, Mapping[str, int]]) -> list[str]:
    """Return one circle, each module followed by one it imports; empty when there is none."""
    try:
        TopologicalSorter(imports).prepare()
    except CycleError as error:
        circle: list[str] = error.args[1]
        return circle[::-1]  # there, each module is imported by the next one
    return []
