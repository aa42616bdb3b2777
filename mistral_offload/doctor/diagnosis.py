"""Runs all checks of the doctor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

from mistral_offload.config import BlobStorageConfig
from mistral_offload.doctor.access import AccessChecks, RemovalChecks
from mistral_offload.doctor.configuration import SettingsChecks
from mistral_offload.doctor.configured_stores import configured_stores
from mistral_offload.doctor.encryption import EncryptionChecks
from mistral_offload.doctor.expiry import ExpiryChecks
from mistral_offload.doctor.findings import Check, Finding, Outcome, SharedFacts
from mistral_offload.doctor.machine import MachineChecks
from mistral_offload.doctor.platform import PlatformChecks
from mistral_offload.doctor.probe import Probe
from mistral_offload.doctor.round_trip import RoundTripChecks
from mistral_offload.doctor.runner import run_checks
from mistral_offload.doctor.scheduled_inputs import ScheduledInputChecks
from mistral_offload.doctor.secret_mask import SecretMask
from mistral_offload.doctor.speed import SpeedChecks
from mistral_offload.doctor.temporal import TemporalChecks
from mistral_offload.doctor.versions import VersionChecks
from mistral_offload.environment.settings import WorkerSettings
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
    """Check everything that a worker with these settings relies on.

    Checks run concurrently; each finding is yielded as soon as it and all before it, in a fixed
    order, are known. Failures are findings, not exceptions. Blobs written to stores are removed
    again, also when the generator is closed early.

    Args:
        settings: the worker's.
        read_only: write nothing; checks that need to write are left out.
        timeout: time limit of each check, in seconds.
        size: bytes of the blob that is sent to measure throughput.
    """
    facts, mask = SharedFacts(settings), SecretMask(settings)
    stores = configured_stores(settings)
    probes = [Probe(store, facts, timeout=timeout) for store in stores]
    checks: list[Check] = [
        *SettingsChecks(settings).checks(),
        *VersionChecks(settings).checks(),
        *MachineChecks(stores, may_write=not read_only).checks(),
        *PlatformChecks(settings, facts, timeout=timeout).checks(),
        *TemporalChecks(settings, facts, timeout=timeout).checks(),
        *ScheduledInputChecks(settings, facts, timeout=timeout).checks(),
        *EncryptionChecks(settings).checks(),
    ]
    measured: set[BlobStorageConfig] = set()
    for probe in probes:
        store = probe.target
        may_write = not (read_only or store.is_read_also)
        checks += AccessChecks(probe, may_write=may_write).checks()
        if may_write:
            if store.config not in measured:
                checks += SpeedChecks(probe, size=size, timeout=timeout).checks()
                measured.add(store.config)
            checks += RoundTripChecks(settings, probe).checks()
            checks += RemovalChecks(probe, after=checks).checks()
        if not store.is_read_also:
            checks += ExpiryChecks(probe, facts).checks()
    try:
        async with aclosing(run_checks(checks, timeout=timeout)) as findings:
            async for finding in findings:
                yield mask.hide(finding)
    finally:
        await asyncio.gather(*map(_clean_up, probes))


async def examine_without_settings(
    error: ConfigurationError, *, timeout: float = DEFAULT_TIMEOUT_SECONDS
) -> AsyncGenerator[Finding]:
    """Report settings that cannot be read, and run the checks that do not need them.

    Args:
        error: the error raised for the settings.
        timeout: time limit of each check, in seconds.
    """
    remedy = "fix the environment variables listed above"
    yield Finding("settings", "settings", Outcome.FAILED, str(error), remedy, 0.0)
    async with aclosing(run_checks(VersionChecks(None).checks(), timeout=timeout)) as findings:
        async for finding in findings:
            yield finding


async def _clean_up(probe: Probe) -> None:
    if probe.left:
        with suppress(MistralOffloadError):  # reported by its check
            await probe.remove()
