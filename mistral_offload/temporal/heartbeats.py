"""Heartbeats of an activity: sent during transfers, and their large details uploaded when needed.

Temporal sends only the latest of many heartbeats: one per 80 % of the heartbeat timeout. Details
that may be offloaded are uploaded at this pace, the latest ones each time, so that they are stored
when Temporal sends the next heartbeat.
"""

from __future__ import annotations

import asyncio
import itertools
import logging
import time
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast

import temporalio.activity
from temporalio.activity import Info
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.worker import ActivityOutboundInterceptor

from mistral_offload.limits import SMALLEST_OFFLOADED_BYTES
from mistral_offload.temporal.deferred_values import EncodedValue, UnencodableValue
from mistral_offload.temporal.outbound.message_encoder import keeping_in_place

_logger = logging.getLogger("mistral_offload.worker")

_PER_TIMEOUT = 3
"""Heartbeats sent per heartbeat timeout."""

_PROGRESS = "mistral_offload_transfer"
"""Only member of the detail that shows the progress of transfers."""

_MARGIN = 0.1
"""Share of an interval by which an upload is to be done before its heartbeat is sent."""


@dataclass(frozen=True, slots=True)
class HeartbeatPace:
    """Intervals at which a worker sends the heartbeats of an activity, as its options set them.

    Attributes:
        longest: bound of 80 % of the heartbeat timeout.
        default: interval for activities without a heartbeat timeout.
    """

    longest: timedelta = timedelta(seconds=60)
    default: timedelta = timedelta(seconds=30)

    def seconds(self, timeout: timedelta | None) -> float:
        """Return the interval in seconds for an activity with this heartbeat timeout."""
        if timeout is None:
            return self.default.total_seconds()
        return min(0.8 * timeout.total_seconds(), self.longest.total_seconds())


USUAL_PACE = HeartbeatPace()
"""The intervals of a worker whose options do not set them."""


class SendTimes:
    """The times at which Temporal sends an activity's heartbeats, by those that were forwarded.

    Temporal sends the first one at once. After that it sends one at the end of each interval: the
    latest.

    Attributes:
        latest: `monotonic` time at which the heartbeat that was forwarded last is sent.
    """

    def __init__(self) -> None:
        self.latest = float("-inf")

    def next_from(self, now: float, interval: float) -> float:
        """Return the time at which a heartbeat that is forwarded now is sent."""
        return self.latest if now < self.latest else max(now, self.latest + interval)

    def note(self, now: float, interval: float) -> None:
        """Record a heartbeat that is forwarded now."""
        self.latest = self.next_from(now, interval)


def pause_seconds(info: Info) -> float | None:
    """Return the time between our own heartbeats of an activity; None if it needs none."""
    if info.heartbeat_timeout is None or info.is_local:
        return None
    return info.heartbeat_timeout.total_seconds() / _PER_TIMEOUT


def _no_progress() -> None:
    return None


def _is_progress(detail: Any) -> bool:
    return type(detail) is dict and set(cast("dict[str, Any]", detail)) == {_PROGRESS}


class Heartbeats(ActivityOutboundInterceptor):
    """Forwards an activity's heartbeats, and sends its own during a transfer.

    Its own heartbeats repeat the activity's last details: without them they would erase the details
    that the activity recorded for its next attempt. The progress of transfers is one more of the
    details, the last one; the next attempt does not see it, see `hide_progress`.
    """

    def __init__(self, next: ActivityOutboundInterceptor) -> None:
        super().__init__(next)
        self._details: Sequence[Any] | None = None
        self._progress: Callable[[], Any] = _no_progress

    def heartbeat(self, *details: Any) -> None:
        """Forward a heartbeat, and remember its details."""
        self._details = details
        self._forward(details)

    @asynccontextmanager
    async def keep_alive(self, info: Info) -> AsyncGenerator[None]:
        """Send heartbeats while the block runs, if the activity has a heartbeat timeout."""
        pause = pause_seconds(info)
        if pause is None:
            yield
            return
        task = asyncio.create_task(self._send_heartbeats(info, pause))
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def show_progress(self, progress: Callable[[], Any]) -> None:
        """Set the function that returns the progress to show, a JSON value; None for none."""
        self._progress = progress

    def hide_progress(self, info: Info) -> None:
        """Remove the progress that an earlier attempt has shown from an activity's details."""
        details = info.heartbeat_details
        count = sum(1 for _ in itertools.takewhile(_is_progress, reversed(details)))
        if count and isinstance(details, list):  # as temporalio decodes them
            del details[-count:]
            if self._details is not None:  # they were resumed, as encoded values
                self._details = self._details[:-count]

    def repeat(self) -> None:
        """Send the activity's last details again, with the progress; call it in its context."""
        self._repeat(temporalio.activity.info())

    async def _send_heartbeats(self, info: Info, pause: float) -> None:
        while True:
            await asyncio.sleep(pause)
            self._repeat(info)

    def _repeat(self, info: Info) -> None:
        details = info.heartbeat_details if self._details is None else self._details
        progress = self._progress()
        if progress is not None:
            details = [*details, {_PROGRESS: progress}]
        self._forward(details)

    def _forward(self, details: Sequence[Any]) -> None:
        super().heartbeat(*details)


class PacedHeartbeats(Heartbeats):
    """Uploads large details at the pace at which Temporal sends heartbeats.

    Smaller details are forwarded at once. Until large ones are uploaded, their heartbeats repeat
    the details before them, so that the server knows that the activity is alive.

    Args:
        next: sends heartbeats.
        encode: encodes details; uploads those that are large.
        pace: intervals of the worker.
    """

    def __init__(
        self,
        next: ActivityOutboundInterceptor,
        encode: Callable[[Sequence[Any]], Awaitable[list[Payload]]],
        pace: HeartbeatPace,
    ) -> None:
        super().__init__(next)
        self._encode = encode
        self._pace = pace
        self._uploaded: list[Payload] | None = None
        self._uploading: list[Payload] | None = None
        self._waiting: list[Payload] | None = None
        self._small_ones = 0
        self._send_times = SendTimes()
        self._last_upload_sent = float("-inf")
        self._upload_seconds = 0.0
        self._uploads: asyncio.Task[None] | None = None
        self._is_last = asyncio.Event()

    def resume_from(self, payloads: Sequence[Payload]) -> None:
        """Repeat the details of the attempt before, as the server has them, until there are new."""
        if self._details is None:
            self._details = [EncodedValue(payload) for payload in payloads]

    def heartbeat(self, *details: Any) -> None:
        """Forward a heartbeat, or upload its details when it is time to."""
        info = temporalio.activity.info()
        payloads = None if info.is_local else _large_payloads(details)
        if payloads is None:
            self._small_ones += 1
            self._uploaded = self._waiting = None
            self._details = details
            self._forward(details)
        elif self._uploading is None and self._waiting is None and payloads == self._uploaded:
            self._repeat(info)
        else:
            is_running = self._uploads is not None and not self._uploads.done()
            if self._waiting is not None or payloads != self._uploading:
                self._waiting = payloads
            if is_running:
                self._repeat(info)
            else:
                self._uploads = asyncio.create_task(self._upload_waiting(info))

    async def flush(self) -> None:
        """Send the latest details now, before the activity fails, also if it is cancelled again."""
        self._is_last.set()
        while self._uploads is not None and not self._uploads.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([self._uploads])

    async def drop(self) -> None:
        """Forget details that are not uploaded yet: the activity completes without them."""
        self._waiting = None
        if self._uploads is not None:
            self._uploads.cancel()
            await asyncio.gather(self._uploads, return_exceptions=True)

    async def _upload_waiting(self, info: Info) -> None:
        async with self.keep_alive(info):
            while self._waiting is not None:
                await self._wait_for_turn(self._pace.seconds(info.heartbeat_timeout))
                self._uploading = self._take_waiting()
                if self._uploading is not None:  # else they were dropped during the pause
                    await self._upload(self._uploading, info)
                self._uploading = None

    def _take_waiting(self) -> list[Payload] | None:
        waiting, self._waiting = self._waiting, None
        return waiting

    async def _wait_for_turn(self, interval: float) -> None:
        now = time.monotonic()
        sent = max(self._send_times.next_from(now, interval), self._last_upload_sent + interval)
        lead = min(self._upload_seconds + _MARGIN * interval, interval / 2)
        pause = sent - lead - now
        if pause > 0:
            with suppress(asyncio.TimeoutError):
                await asyncio.wait_for(self._is_last.wait(), pause)

    async def _upload(self, payloads: list[Payload], info: Info) -> None:
        small_ones, began = self._small_ones, time.monotonic()
        try:
            encoded = await self._encode([RawValue(payload) for payload in payloads])
        except Exception as error:
            if self._is_last.is_set():
                _logger.warning("The last heartbeat's details of an activity are lost: %s", error)
            else:
                self._forward([UnencodableValue(error)])
            return
        self._upload_seconds = time.monotonic() - began
        if small_ones == self._small_ones:  # otherwise there are newer ones
            self._uploaded = payloads
            self._details = [EncodedValue(payload) for payload in encoded]
            self._forward(self._details)
            self._last_upload_sent = self._send_times.latest

    def _forward(self, details: Sequence[Any]) -> None:
        timeout = temporalio.activity.info().heartbeat_timeout
        self._send_times.note(time.monotonic(), self._pace.seconds(timeout))
        # Temporal encodes them later, and an error would cancel the activity. They are small, or
        # encoded already.
        with keeping_in_place():
            super()._forward(details)


def _large_payloads(details: Sequence[Any]) -> list[Payload] | None:
    """Return an activity's details as payloads if they may be offloaded, otherwise None."""
    try:
        payloads = temporalio.activity.payload_converter().to_payloads(details)
    except Exception:  # Temporal fails at it again, and then the activity
        return None
    size = sum(len(payload.data) for payload in payloads)
    return payloads if size >= SMALLEST_OFFLOADED_BYTES else None
