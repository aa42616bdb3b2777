"""Measures a store's latency and throughput, and compares its clock with the local one."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Awaitable
from datetime import datetime, timedelta
from typing import Any

from mistral_offload.doctor.findings import Check, Verdict, failed, ok, warning
from mistral_offload.doctor.probe import Probe

_ROUNDS = 5
_SMALL_BYTES = 1024
_SLOW_SECONDS = 1.0
_SLOW_BYTES_PER_SECOND = 1_000_000
_TRIAL_DIVISOR = 16
"""A trial transfer of this fraction of the size shows whether the whole fits the time limit."""

_CLOCK_WARNING = timedelta(seconds=5)
_CLOCK_FAILURE = timedelta(minutes=5)
_RESOLUTION = timedelta(seconds=1)


class SpeedChecks:
    """Measures one store with blobs that its probe removes.

    Args:
        probe: the store's.
        size: bytes to send to measure throughput.
        timeout: time limit of each check, in seconds.
    """

    def __init__(self, probe: Probe, *, size: int, timeout: float) -> None:
        self._probe = probe
        self._size = size
        self._timeout = timeout

    def checks(self) -> list[Check]:
        """Return the checks; they run one by one after the access checks, to share no bandwidth."""
        check = self._probe.target.check
        return [
            check("clock", "clock", self._clock, needs=("put",)),
            check(
                "latency",
                "latency",
                self._latency,
                needs=("get",),
                after=("list", "create_if_absent", "clock"),
            ),
            check("throughput", "throughput", self._throughput, needs=("latency",)),
        ]

    async def _clock(self) -> Verdict:
        between = self._probe.written_between
        assert between is not None  # noqa: S101 - written by a check that this one needs
        stat = await self._probe.store.stat_async(self._probe.key)
        return evaluate_clock(stat.modified, *between)

    async def _latency(self) -> Verdict:
        puts: list[float] = []
        gets: list[float] = []
        for _ in range(_ROUNDS):
            seconds, key = await _timed(self._probe.put(os.urandom(_SMALL_BYTES)))
            puts.append(seconds)
            gets.append((await _timed(self._probe.store.get_async(key)))[0])
        put, get = statistics.median(puts), statistics.median(gets)
        detail = f"put {put * 1000:.0f} ms, get {get * 1000:.0f} ms (median of {_ROUNDS})"
        if max(put, get) < _SLOW_SECONDS:
            return ok(detail)
        return warning(detail, "use a bucket in the worker's region, or a nearer endpoint")

    async def _throughput(self) -> Verdict:
        size = max(1, self._size // _TRIAL_DIVISOR)
        put, get = await self._transfer(size)
        if (put + get) * _TRIAL_DIVISOR < self._timeout:
            size = self._size
            put, get = await self._transfer(size)
        up, down = size / put, size / get
        detail = f"put {up / 1e6:.1f} MB/s, get {down / 1e6:.1f} MB/s ({size:,} bytes)"
        if min(up, down) >= _SLOW_BYTES_PER_SECOND:
            return ok(detail)
        return warning(
            detail,
            "check the network between here and the store; raise "
            f"{self._probe.target.variables}__RETRY_SECONDS to the time of several large transfers",
        )

    async def _transfer(self, size: int) -> tuple[float, float]:
        """Return the seconds of a put and of a get."""
        put, key = await _timed(self._probe.put(os.urandom(size)))
        get, _ = await _timed(self._probe.store.get_async(key))
        return put, get


def evaluate_clock(modified: datetime, before: datetime, after: datetime) -> Verdict:
    """Compare the store's time of a write with the local clock.

    Args:
        modified: the store's time of the write, possibly in whole seconds.
        before: the local time before the write.
        after: the local time after the write.
    """
    if modified > after:
        apart, side = modified - after, "behind"
    else:
        apart, side = max(before - modified - _RESOLUTION, timedelta()), "ahead of"
    if apart < _CLOCK_WARNING:
        return ok("agrees with this machine's clock")
    detail = f"this machine's clock is {apart.total_seconds():,.0f} s {side} the store's"
    remedy = "set this machine's clock (chronyc tracking, timedatectl status)"
    if apart < _CLOCK_FAILURE:
        return warning(detail, remedy)
    return failed(f"{detail}; S3 rejects requests from 15 minutes on", remedy)


async def _timed(work: Awaitable[Any]) -> tuple[float, Any]:
    start = time.perf_counter()
    result = await work
    return time.perf_counter() - start, result
