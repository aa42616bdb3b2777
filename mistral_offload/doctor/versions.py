"""Checks installed versions against the requirements of this package."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final

from mistral_offload.config import StorageProvider
from mistral_offload.doctor.configured_stores import configured_stores
from mistral_offload.doctor.findings import Check, Verdict, failed, not_checked, ok, warning
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.errors import MissingExtraError
from mistral_offload.temporal.outbound.sdk_internals import Capability, lost_capabilities

if TYPE_CHECKING:
    from packaging.requirements import Requirement

_OURS: Final = "mistral-offload"


class VersionChecks:
    """Checks Python, packages and the private interface of temporalio that we rely on.

    Args:
        settings: determine the extras that are needed; None if they cannot be read.
    """

    def __init__(self, settings: WorkerSettings | None) -> None:
        self._settings = settings

    def checks(self) -> list[Check]:
        """Return the checks; none of them needs the network."""
        return [
            Check("versions.python", "versions: Python", self._python),
            Check("versions.packages", "versions: packages", self._packages),
            Check("versions.temporalio", "versions: temporalio", self._internals),
        ]

    async def _python(self) -> Verdict:
        specifiers, _ = _load_packaging()
        installed = _installed(_OURS)
        if installed is None:
            return not_checked(f"{_OURS} is not installed as a package")
        needed = metadata.metadata(_OURS)["Requires-Python"] or ""
        running = platform.python_version()
        detail = f"Python {running} on {platform.system()}, {_OURS} {installed}"
        if specifiers.SpecifierSet(needed).contains(running, prereleases=True):
            return ok(detail)
        return failed(f"{detail}, which needs {needed}", f"run on Python {needed}")

    async def _packages(self) -> Verdict:
        if _installed(_OURS) is None:
            return not_checked(f"{_OURS} is not installed as a package")
        needed = dict(_requirements_of(_extras_for(self._settings)))
        problems: list[str] = []
        remedies: list[str] = []
        for requirement, extra in needed.items():
            found = _installed(requirement.name)
            if found is None:
                problems.append(f"{requirement.name} is not installed")
                remedies.append(f'pip install "{_OURS}[{extra}]"' if extra else "reinstall it")
            elif not requirement.specifier.contains(found, prereleases=True):
                problems.append(f"{requirement.name} {found} is not {requirement.specifier}")
                remedies.append(f'pip install "{requirement.name}{requirement.specifier}"')
        if problems:
            return failed("; ".join(problems), "; ".join(dict.fromkeys(remedies)))
        names = dict.fromkeys(requirement.name for requirement in needed)
        return ok(", ".join(f"{name} {_installed(name)}" for name in names))

    async def _internals(self) -> Verdict:
        version = metadata.version("temporalio")
        lost = await lost_capabilities()
        if not lost:
            return ok(f"temporalio {version} behaves as a worker relies on")
        effects = "".join(f"\n- {each.value}" for each in Capability if each in lost)
        return warning(
            f"temporalio {version} behaves unlike the versions this package was made for:{effects}",
            f"upgrade {_OURS}, or pin temporalio<{version}",
        )


def _extras_for(settings: WorkerSettings | None) -> tuple[str, ...]:
    extras = ["worker"]
    if settings is not None:
        providers = [store.config.storage_provider for store in configured_stores(settings)]
        extras += [name.value for name in providers if name is not StorageProvider.LOCAL]
        extras += ["encryption"] * (settings.payload_encryption is not None)
        extras += ["compression"] * (settings.payload_compression is not None)
    return tuple(dict.fromkeys(extras))


def _requirements_of(extras: tuple[str, ...]) -> Iterator[tuple[Requirement, str | None]]:
    """Yield the requirements of the package, each with the extra that adds it."""
    _, requirements = _load_packaging()
    known = [requirements.Requirement(text) for text in metadata.requires(_OURS) or ()]
    for extra in (None, *extras):
        for requirement in known:
            if requirement.marker is None:
                if extra is None:
                    yield requirement, None
            elif extra and requirement.marker.evaluate({"extra": extra}):
                yield requirement, extra


def _installed(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None


def _load_packaging() -> tuple[Any, Any]:
    try:
        from packaging import requirements, specifiers
    except ImportError as error:
        raise MissingExtraError("reading version ranges", "cli") from error
    return specifiers, requirements
