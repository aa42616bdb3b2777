"""The public packages: what they export, and that pages and examples import nothing else."""

from __future__ import annotations

import ast
import importlib
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.test_seed_page import python_blocks

ROOT = Path(__file__).parents[1]
PUBLIC = (
    "mistral_offload",
    "mistral_offload.client",
    "mistral_offload.config",
    "mistral_offload.devserver",
    "mistral_offload.doctor",
    "mistral_offload.errors",
    "mistral_offload.extra",
    "mistral_offload.official",
    "mistral_offload.storage",
    "mistral_offload.temporal",
    "mistral_offload.testing",
    "mistral_offload.workflows",
)
INSIDE_PUBLIC = (
    # The official SDK's import paths.
    "mistral_offload.client.models",
    "mistral_offload.extra.workflows",
    "mistral_offload.extra.workflows.encoding",
    "mistral_offload.workflows.core.encoding.fields_offloader",
    "mistral_offload.workflows.workflow",
)
INTERNAL = {"MissingExtraError", "find_spec", "TYPE_CHECKING", "lazy_names"}
"""Names that packages use to refuse their import without an extra, or to import names when used."""


def exported(module: str) -> list[str]:
    return getattr(importlib.import_module(module), "__all__", [])


def namespace(module: str) -> set[str]:
    """Names that a module binds: a package's imports are its exports, a plain module's are not."""
    file = importlib.import_module(module).__file__
    assert file is not None
    source = ast.parse(Path(file).read_text())
    exports_imports = file.endswith("__init__.py") or module in INSIDE_PUBLIC
    return {
        name
        for statement in statements(source.body)
        for name in bound(statement, imports=exports_imports)
        if not name.startswith("_")
    }


def statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    for statement in body:
        if isinstance(statement, ast.If | ast.Try):
            yield from statements(statement.body)
        else:
            yield statement


def bound(statement: ast.stmt, *, imports: bool) -> Iterator[str]:
    if isinstance(statement, ast.ClassDef | ast.FunctionDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        yield from (target.id for target in targets if isinstance(target, ast.Name))
    elif imports and isinstance(statement, ast.ImportFrom) and statement.module != "__future__":
        names = {alias.asname or alias.name for alias in statement.names}
        if "*" in names:
            names = set(exported(statement.module or ""))
        yield from names - INTERNAL


@pytest.mark.parametrize("module", [*PUBLIC, *INSIDE_PUBLIC])
def test_all_is_the_namespace(module: str) -> None:
    names = exported(module)
    assert {name for name in names if not name.startswith("_")} == namespace(module)
    assert names == sorted(names, key=lambda each: (each.startswith("_"), each))
    assert all(hasattr(importlib.import_module(module), name) for name in names)
    assert set(names) <= set(dir(importlib.import_module(module)))


def refused_uses(source: str) -> list[str]:
    """Names of this package that a program uses, but that no public package exports."""
    tree = ast.parse(source)
    allowed = {*PUBLIC, *INSIDE_PUBLIC}
    modules: dict[str, str] = {}
    refused: list[str] = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                if alias.name.partition(".")[0] == "mistral_offload":
                    modules[alias.asname or "mistral_offload"] = (
                        alias.name if alias.asname else "mistral_offload"
                    )
                    refused += [alias.name] if alias.name not in allowed else []
        elif isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == (
            "mistral_offload"
        ):
            module = node.module or ""
            for alias in node.names:
                name = f"{module}.{alias.name}"
                if name not in allowed and not (
                    module in allowed and alias.name in exported(module)
                ):
                    refused.append(name)
                elif name in allowed:
                    modules[alias.asname or alias.name] = name
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            module = module_of(node.value, modules)
            name = f"{module}.{node.attr}"
            if module and name not in allowed and node.attr not in exported(module):
                refused.append(name)
    return refused


def module_of(node: ast.expr, modules: dict[str, str]) -> str | None:
    """Name the public module that an expression stands for."""
    if isinstance(node, ast.Name):
        return modules.get(node.id)
    if isinstance(node, ast.Attribute) and (parent := module_of(node.value, modules)):
        name = f"{parent}.{node.attr}"
        return name if name in {*PUBLIC, *INSIDE_PUBLIC} else None
    return None


def programs() -> dict[str, str]:
    """Every Python text that a user reads, by the place it stands at."""
    found = {f"SEED {number}": block for number, block in enumerate(python_blocks())}
    pages = [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("examples/**/*.md")]
    for page in pages:
        blocks = re.findall(r"^```python\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE)
        name = page.relative_to(ROOT).as_posix()
        found.update({f"{name} {number}": block for number, block in enumerate(blocks)})
    for script in ROOT.glob("examples/**/*.py"):
        found[script.relative_to(ROOT).as_posix()] = script.read_text()
    return found


PROGRAMS = programs()


@pytest.mark.parametrize("place", PROGRAMS)
def test_programs_for_users_use_public_names_only(place: str) -> None:
    assert refused_uses(PROGRAMS[place]) == []


def test_programs_are_found_where_users_read_them() -> None:
    for place in ("SEED 4", "README.md 2", "docs/storage.md 0", "examples/demo.py"):
        assert "mistral_offload" in PROGRAMS[place] or "BlobStorageConfig" in PROGRAMS[place]


@pytest.mark.parametrize(
    ("program", "refused"),
    [
        ("import mistral_offload.api", "mistral_offload.api"),
        ("from mistral_offload.payload.encoder import X", "mistral_offload.payload.encoder.X"),
        ("from mistral_offload.storage import Page", "mistral_offload.storage.Page"),
        ("from mistral_offload import limits", "mistral_offload.limits"),
        ("import mistral_offload.storage as s\ns.Page", "mistral_offload.storage.Page"),
        ("import mistral_offload\nmistral_offload.limits", "mistral_offload.limits"),
        ("from mistral_offload import storage\nstorage.Page", "mistral_offload.storage.Page"),
        (
            "import mistral_offload.workflows as w\nw.workflow.nothing()",
            "mistral_offload.workflows.workflow.nothing",
        ),
        ("def f():\n    from mistral_offload.fields import X", "mistral_offload.fields.X"),
    ],
)
def test_private_names_are_refused(program: str, refused: str) -> None:
    assert refused_uses(program) == [refused]


@pytest.mark.parametrize(
    "program",
    [
        "import mistral_offload.workflows as w\nw.workflow.define()",
        "import mistral_offload\nmistral_offload.storage.open_store",
        "from mistral_offload import Mistral, errors\nerrors.StorageError",
        "from mistral_offload.extra.workflows.encoding import BlobStorageConfig",
        "import httpx\nhttpx.anything",
    ],
)
def test_public_names_are_allowed(program: str) -> None:
    assert refused_uses(program) == []
