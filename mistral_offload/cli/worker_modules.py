"""The modules that ``mistral-offload worker`` is given: imported, and searched for workflows.

Errors of the import are the user's: a traceback shows the user's frames alone.
"""

from __future__ import annotations

import importlib
import os
import sys
import traceback
from collections.abc import Sequence
from itertools import chain
from pathlib import Path
from types import ModuleType

import mistral_offload
from mistral_offload._suggestions import did_you_mean
from mistral_offload.errors import ConfigurationError, MissingExtraError, MistralOffloadError

_OWN_FOLDER = str(Path(mistral_offload.__file__).parent)


def load_env_file(path: Path) -> None:
    """Set the variables of a file that the environment does not have.

    They are set for the whole process, so that the user's modules and cloud SDKs see them as well.

    Raises:
        ConfigurationError: the file cannot be read, or a line is not ``NAME=value``.
    """
    try:
        from dotenv import load_dotenv
        from dotenv.parser import parse_stream
    except ModuleNotFoundError:
        raise MissingExtraError("mistral-offload worker", "worker") from None
    try:
        with path.open(encoding="utf-8") as file:
            bindings = list(parse_stream(file))
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text in UTF-8"
        raise ConfigurationError(f"--env-file {path} cannot be read: {reason}") from None
    for binding in bindings:
        if binding.error or (binding.key is not None and binding.value is None):
            raise ConfigurationError(
                f"--env-file {path}, line {binding.original.line}: not NAME=value"
            )
    load_dotenv(path, override=False, encoding="utf-8")


def load_workflows(names: Sequence[str]) -> list[type]:
    """Import modules, and return the workflow classes that are named.

    Args:
        names: ``module:Class``, or ``module`` for all workflows defined there or in its submodules
            and imported by it.

    Raises:
        ConfigurationError: there is no such module or class, it is not a workflow, or the import
            failed because of another import or a wrong use of this package.
        SystemExit: the import raised any other error; its traceback is printed.
    """
    from mistral_offload.workflows.definitions import definition_of

    parsed = [_parse(name) for name in names]
    if not getattr(sys.flags, "safe_path", False) and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    found: dict[type, None] = {}
    for module_name, class_name in parsed:
        module = _import(module_name)
        defined = _workflows_of(module)
        if class_name is None:
            if not defined:
                raise ConfigurationError(
                    f"module {module_name} defines no workflow: decorate a class of it with "
                    "@workflows.workflow.define(name=…)"
                )
            found.update(dict.fromkeys(defined.values()))
            continue
        chosen = getattr(module, class_name, None)
        if chosen is None:
            raise ConfigurationError(
                f"module {module_name} ({module.__file__}) has no class "
                f"{class_name}{did_you_mean(class_name, defined)}"
            )
        if not isinstance(chosen, type):
            raise ConfigurationError(f"{module_name}:{class_name} is not a class")
        definition_of(chosen)
        found[chosen] = None
    return list(found)


def _parse(name: str) -> tuple[str, str | None]:
    module, separator, class_name = name.partition(":")
    valid = all(map(str.isidentifier, module.split(".")))
    if module.endswith(".py") or "/" in module:
        as_module = ".".join(Path(module).with_suffix("").parts).strip(".")
        raise ConfigurationError(f"{name!r} is a file: name its module, such as {as_module}")
    if not valid or (separator and not class_name.isidentifier()):
        raise ConfigurationError(f"{name!r} is not MODULE or MODULE:CLASS, such as flows:Invoice")
    return module, class_name or None


def _import(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is not None and f"{name}.".startswith(f"{error.name}."):
            raise _not_found(name, error.name) from None
        raise _failed(name, error) from None
    except (ImportError, MistralOffloadError) as error:
        raise _failed(name, error) from None
    except Exception as error:
        sys.stderr.write(_traceback_of(error))
        sys.stderr.write(f"mistral-offload: importing {name} failed, as shown above\n")
        raise SystemExit(1) from None


def _not_found(name: str, missing: str) -> ConfigurationError:
    parent, _, last = missing.rpartition(".")
    if parent:
        place, paths = f"package {parent}", getattr(sys.modules.get(parent), "__path__", [])
    else:
        place, paths = f"neither installed nor in the current directory, {os.getcwd()}", ["."]
    files = [*chain.from_iterable(Path(path).glob("*.py") for path in paths)]
    files += chain.from_iterable(Path(path).glob("*/__init__.py") for path in paths)
    known = [file.parent.name if file.stem == "__init__" else file.stem for file in files]
    problem = f"{place} has no {last}" if parent else f"{last} is {place}"
    return ConfigurationError(f"there is no module {name}: {problem}{did_you_mean(last, known)}")


def _failed(name: str, error: Exception) -> ConfigurationError:
    frames = _user_frames(traceback.extract_tb(error.__traceback__))
    place = f" ({frames[-1].filename}, line {frames[-1].lineno})" if frames else ""
    return ConfigurationError(f"module {name} cannot be imported{place}: {error}")


def _traceback_of(error: Exception) -> str:
    """Return a traceback without the frames of this package and of Python's import system."""
    shown = traceback.TracebackException.from_exception(error)
    pending: list[traceback.TracebackException | None] = [shown]
    while pending:
        each = pending.pop()
        if each is not None:
            each.stack = traceback.StackSummary.from_list(_user_frames(each.stack))
            pending += [
                each.__cause__,
                each.__context__,
                *(getattr(each, "exceptions", None) or ()),
            ]
    return "".join(shown.format())


def _user_frames(frames: Sequence[traceback.FrameSummary]) -> list[traceback.FrameSummary]:
    return [
        frame
        for frame in frames
        if not frame.filename.startswith((_OWN_FOLDER, "<frozen importlib"))
        and frame.filename != importlib.__file__
    ]


def _workflows_of(module: ModuleType) -> dict[str, type]:
    """Return the workflow classes of a module or package, by the names they have there."""
    from mistral_offload.workflows.definitions import DEFINITION_ATTRIBUTE

    return {
        name: value
        for name, value in vars(module).items()
        if isinstance(value, type)
        and DEFINITION_ATTRIBUTE in vars(value)
        and f"{value.__module__}.".startswith(f"{module.__name__}.")
    }
