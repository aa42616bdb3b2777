"""Names of a package that are imported when they are first used."""

from __future__ import annotations

import sys

TYPE_CHECKING = False
"""Type checkers take it for true by its name, so that ``typing`` need not be imported for it."""

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any


def lazy_names(
    package: str, homes: Mapping[str, Sequence[str]], *, modules: Sequence[str] = ()
) -> tuple[Callable[[str], Any], Callable[[], list[str]]]:
    """Return a package's ``__getattr__`` and ``__dir__``, which import its names on first use.

    Type checkers do not see these names: the package also imports them below
    ``if TYPE_CHECKING``.

    Args:
        package: the package, ``__name__``.
        homes: its names by the module that defines them, relative to the package.
        modules: its modules that can be used without an import of their own.
    """
    home_of = {name: home for home, names in homes.items() for name in names}

    def get(name: str) -> Any:
        from importlib import import_module

        if name in modules:
            return import_module(f"{package}.{name}")
        if name not in home_of:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        value = getattr(import_module(f"{package}.{home_of[name]}"), name)
        setattr(sys.modules[package], name, value)  # from now on found without this function
        return value

    def list_names() -> list[str]:
        return sorted({*vars(sys.modules[package]), *home_of, *modules})

    return get, list_names
