"""Everything that is looked at, put together."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from mistral_offload.config import BlobStorageConfig
from mistral_offload.doctor.access import AccessChecks
from mistral_offload.doctor.configuration import SettingsChecks
from mistral_offload.doctor.configured_stores import places_of
from mistral_offload.doctor.encryption import EncryptionChecks
from mistral_offload.doctor.expiry import ExpiryChecks
from mistral_offload.doctor.findings import Check, Finding, Outcome
from mistral_offload.doctor.machine import MachineChecks
from mistral_offload.doctor.platform import PlatformChecks
from mistral_offload.doctor.probe import Probe
from mistral_offload.doctor.probe_removal import CleaningChecks
from mistral_offload.doctor.round_trip import RoundTripChecks
from mistral_offload.doctor.runner import run_checks
from mistral_offload.doctor.secret_mask import Mask
from mistral_offload.doctor.shared_facts import Facts
from mistral_offload.doctor.speed import SpeedChecks
from mistral_offload.doctor.temporal import TemporalChecks
from mistral_offload.doctor.versions import VersionChecks
from mistral_offload.environment.settings import WorkerSettings
from mistral_offload.environment.temporal_client import SETTLING_SECONDS
from mistral_offload.errors import ConfigurationError, MistralOffloadError

DEFAULT_TIMEOUT_SECONDS = 10.0
DEFAULT_SIZE_BYTES = 8_000_000


async def examine(
    settings: WorkerSettings,
    *,
    read_only: bool = False,
    timeout: float = DEFAULT_TIMEOUT_SECONDS,
    size: int = DEFAULT_SIZE_BYTES,
) -> AsyncGenerator[Finding]:
    """Look at everything that a worker with these settings relies on.

    Checks run at the same time; their findings come in a fixed order, as soon as those before are
    there. No check raises. What is written into stores is removed again, also when the generator is
    closed early.

    Args:
        settings: the worker's.
        read_only: write nothing, nowhere; what takes a write is left out.
        timeout: how long each check may take, in seconds.
        size: of the blob that is sent for the throughput, in bytes.
    """
    facts, mask = Facts(settings), Mask(settings)
    places = places_of(settings)
    probes = [Probe(place, facts, timeout=timeout) for place in places]
    checks: list[Check] = [
        *SettingsChecks(settings).checks(),
        *VersionChecks(settings).checks(),
        *MachineChecks(places, may_write=not read_only).checks(),
        *PlatformChecks(settings, facts, timeout=timeout).checks(),
        *TemporalChecks(settings, facts, timeout=timeout).checks(),
        *EncryptionChecks(settings).checks(),
    ]
    measured: set[BlobStorageConfig] = set()
    for probe in probes:
        place = probe.place
        may_write = not (read_only or place.is_read_also)
        checks += AccessChecks(probe, may_write=may_write).checks()
        if may_write:
            if place.config not in measured:
                checks += SpeedChecks(probe, size=size, timeout=timeout).checks()
                measured.add(place.config)
            checks += RoundTripChecks(settings, probe).checks()
            checks += CleaningChecks(probe, after=checks).checks()
        if not place.is_read_also:
            checks += ExpiryChecks(probe, facts).checks()
    try:
        async with aclosing(run_checks(checks, timeout=timeout)) as findings:
            async for finding in findings:
                yield mask.hide(finding)
    finally:
        await asyncio.gather(*map(_clean_up, probes))
        await asyncio.sleep(SETTLING_SECONDS)


async def examine_without_settings(
    error: ConfigurationError, *, timeout: float = DEFAULT_TIMEOUT_SECONDS
) -> AsyncGenerator[Finding]:
    """What is left to look at where the settings cannot be read.

    Args:
        error: what is wrong with them.
        timeout: how long each check may take, in seconds.
    """
    remedy = "mend the variables that are named"
    yield Finding("settings", "settings", Outcome.FAILED, str(error), remedy, 0.0)
    async with aclosing(run_checks(VersionChecks(None).checks(), timeout=timeout)) as findings:
        async for finding in findings:
            yield finding


async def _clean_up(probe: Probe) -> None:
    if probe.left:
        with suppress(MistralOffloadError):  # its check has told
            await probe.remove()
