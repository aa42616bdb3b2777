"""Sends a worker's reports from threads of its own, so that nothing waits for the platform.

**For producers.** `EventPublisher.publish` puts an `event.Event` into a bounded queue and returns;
it may be called from any thread, also from that of a workflow, never waits and never raises. Values
that are expensive to encode are handed over as `event.LateValue`, whose text is made by the thread
that sends the event. Events of one run are sent in the order in which they were published.

**Batches.** The events of a run are sent together, at the latest when the first of them has waited
for its ``linger_seconds``: a second for an ordinary step, less for the end of a run and for what
users watch live. When the reports of one run are due, those of other runs go with them. A batch has
at most 2,000,000 bytes of JSON, except for a single event.

**Faults.** While the platform does not respond, all reports wait, with growing pauses; what has
waited for five minutes is dropped. A report to which it responds with an error of its own (5xx) is
sent a few times, and one that it refuses is dropped at once. A full queue drops what is published.
Everything dropped is counted, by reason, and named in the log once a minute.
"""

from __future__ import annotations

import heapq
import itertools
import logging
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Iterable
from typing import Final, Literal

from mistral_offload._backoff import backoff_pause
from mistral_offload._event_loops import run_in_thread_async
from mistral_offload.events.delivery import Delivery, RefusedError, UnreachableError
from mistral_offload.events.event import Event
from mistral_offload.events.registration import Registration
from mistral_offload.events.routes import EventRoutes
from mistral_offload.events.transport import Transport
from mistral_offload.limits import MIB
from mistral_offload.storage.telemetry import count_reports

_logger = logging.getLogger("mistral_offload.worker")

Reason = Literal["queue full", "platform not reachable", "refused by the platform", "worker ended"]

_MOST_THREADS: Final = 4
_MOST_BATCH_BYTES: Final = 2_000_000
_BATCH_OVERHEAD: Final = 16
_MOST_BATCH_EVENTS: Final = 500
_REQUEST_SECONDS: Final = 30.0
_MOST_SECONDS: Final = 300.0
_MOST_ERRORS: Final = 5
_FIRST_PAUSE_SECONDS: Final = 0.5
_LONGEST_PAUSE_SECONDS: Final = 15.0
_LOG_SECONDS: Final = 60.0
_LATE_SECONDS: Final = 0.5
"""Time after which reports that are due get a thread of their own."""
_TOGETHER_SECONDS: Final = 0.5
"""Time by which reports are sent before they are due, when others are due anyway."""
_SPARE_SECONDS: Final = 10.0
_NEVER: Final = float("inf")
_BUSY: Final = float("-inf")
"""No thread waits for reports to be due."""
_NOT_FOUND: Final = 404


class EventPublisher:
    """A queue of reports, and the threads that send them; belongs to one process.

    Args:
        open_transport: opens the connection of a thread.
        authorization: returns the value of the header, or None without a key.
        most_events: bound of the reports that wait.
        most_bytes: bound of their values in memory.
    """

    def __init__(
        self,
        open_transport: Callable[[], Transport],
        authorization: Callable[[], str | None],
        *,
        most_events: int = 10_000,
        most_bytes: int = 64 * MIB,
    ) -> None:
        self._open_transport = open_transport
        self._authorization = authorization
        self._most_events = most_events
        self._most_bytes = most_bytes
        self._routes = EventRoutes()
        self._changed = threading.Condition()
        self._queues: dict[str, _RunQueue] = {}
        self._due: list[tuple[float, int, _RunQueue]] = []
        self._numbers = itertools.count()
        self._waiting = 0
        self._bytes = 0
        self._threads = 0
        self._wakes_at = _BUSY
        self._failures = 0
        self._paused_until = 0.0
        self._deadline: float | None = None
        self._deliveries: set[Delivery] = set()
        self._reported = 0
        self._losses = _Losses()

    @property
    def reported(self) -> int:
        """Number of reports that the platform has accepted."""
        return self._reported

    @property
    def dropped(self) -> dict[str, int]:
        """Number of reports that were dropped, by reason."""
        return self._losses.total

    def publish(self, report: Event | Registration) -> None:
        """Queue an event, or the registration of a run; safe in every thread."""
        size = report.held_bytes
        linger = report.linger_seconds if isinstance(report, Event) else _NEVER
        with self._changed:
            if self._deadline is not None:
                self._losses.add("worker ended", 1)
                return
            if self._waiting >= self._most_events or self._bytes + size > self._most_bytes:
                self._losses.add("queue full", 1)
                return
            now = time.monotonic()
            queue = self._queues.get(report.run.run_id)
            if queue is None:
                queue = self._queues[report.run.run_id] = _RunQueue(report.run.run_id)
            queue.entries.append(_Entry(report, size, now))
            self._waiting += 1
            self._bytes += size
            self._make_due(queue, now + linger)

    def close(self, seconds: float) -> None:
        """Send what waits, within some time, and end; nothing is queued from now on.

        What a platform that does not respond has not taken by then is dropped.
        """
        deadline = time.monotonic() + seconds
        with self._changed:
            if self._deadline is not None:
                return
            self._deadline = deadline
            for delivery in self._deliveries:
                delivery.stop_by(deadline)
            for queue in self._queues.values():
                if not queue.is_sending and queue.entries:
                    heapq.heappush(self._due, (0.0, next(self._numbers), queue))
            if self._queues:
                self._start_thread()
            self._changed.notify_all()
            while self._queues and (left := deadline - time.monotonic()) > 0:
                self._changed.wait(left)
            for queue in list(self._queues.values()):
                self._drop(queue, queue.entries, "worker ended")
            self._queues.clear()
            deliveries = list(self._deliveries)
            self._losses.log(force=True)
        for delivery in deliveries:
            delivery.close()

    async def close_async(self, seconds: float) -> None:
        """Async form of `close`; waits in a thread."""
        await run_in_thread_async(lambda: self.close(seconds))

    def _make_due(self, queue: _RunQueue, when: float) -> None:
        if queue.is_sending:
            queue.next_due = min(queue.next_due, when)
            return
        if when < queue.due:
            queue.due = when
            heapq.heappush(self._due, (when, next(self._numbers), queue))
            if when < self._wakes_at:
                self._changed.notify_all()
        is_late = self._due[0][0] < time.monotonic() - _LATE_SECONDS if self._due else False
        if not self._threads or (is_late and self._wakes_at == _BUSY):
            self._start_thread()

    def _start_thread(self) -> None:
        if self._threads >= _MOST_THREADS:
            return
        try:
            threading.Thread(target=self._run, name="mistral-offload-events", daemon=True).start()
        except RuntimeError:  # the interpreter is exiting
            return
        self._threads += 1

    def _run(self) -> None:
        delivery = Delivery(self._open_transport(), self._authorization, _REQUEST_SECONDS)
        with self._changed:
            self._deliveries.add(delivery)
            if self._deadline is not None:
                delivery.stop_by(self._deadline)
        try:
            is_awake = False
            while (queue := self._next_queue(is_awake=is_awake)) is not None:
                self._send(queue, delivery)
                is_awake = True
        finally:
            delivery.close()
            with self._changed:
                self._deliveries.discard(delivery)
                self._threads -= 1
                self._changed.notify_all()

    def _next_queue(self, *, is_awake: bool) -> _RunQueue | None:
        """Wait until the reports of a run are due; None when this thread is not needed any more.

        One idle thread waits for the time when reports are due; the others, which were started
        because some were late, wait to be woken, and end after a while.

        Args:
            is_awake: True if this thread has just sent reports.
        """
        with self._changed:
            while True:
                now = time.monotonic()
                is_closing = self._deadline is not None
                while self._due and not self._due[0][2].awaits(self._due[0][0]):
                    heapq.heappop(self._due)
                # Sent together, the reports of several runs take less CPU time than one by one.
                limit = now + (_TOGETHER_SECONDS if is_awake else 0.0)
                is_due = bool(self._due) and self._due[0][0] <= limit and self._paused_until <= now
                if self._due and (is_closing or is_due):
                    queue = heapq.heappop(self._due)[2]
                    queue.is_sending, queue.due, queue.next_due = True, _NEVER, _NEVER
                    return queue
                if is_closing:
                    return None
                is_awake = False
                if self._wakes_at != _BUSY:
                    if not self._changed.wait(_SPARE_SECONDS):
                        return None
                    continue
                wakes_at = max(self._due[0][0], self._paused_until) if self._due else _NEVER
                self._wakes_at = wakes_at
                self._changed.wait(None if wakes_at == _NEVER else wakes_at - now)
                self._wakes_at = _BUSY

    def _send(self, queue: _RunQueue, delivery: Delivery) -> None:
        """Send the reports of a run, until they are sent or the platform does not respond."""
        failure = None
        while failure is None:
            with self._changed:
                entries = queue.first_entries()
            if not entries:
                break
            batch = entries
            try:
                batch = _fitting(entries)
                refused = self._deliver(batch, delivery)
            except RefusedError as error:
                _logger.debug("Events: %s", error)
                self._finish(queue, batch, len(batch))
            except UnreachableError as error:
                _logger.debug("Events: %s", error)
                failure = error
            except Exception:  # an error of ours must not end the thread
                _logger.warning("Events of a run could not be sent", exc_info=True)
                self._finish(queue, entries, len(entries))
            else:
                self._finish(queue, batch, refused)
        with self._changed:
            self._settle(queue, failure)

    def _deliver(self, batch: list[_Entry], delivery: Delivery) -> int:
        """Send a batch; return the number of events that the platform refused."""
        first = batch[0].report
        if isinstance(first, Registration):
            first.send(delivery)
            return 0
        return self._routes.send(first.run, [entry.text for entry in batch], delivery)

    def _finish(self, queue: _RunQueue, batch: list[_Entry], refused: int) -> None:
        with self._changed:
            queue.remove(batch)
            queue.errors = 0
            self._failures = 0
            self._paused_until = 0.0
            self._release(batch)
            self._reported += len(batch) - refused
            if refused:
                self._losses.add("refused by the platform", refused)
        count_reports("reported", len(batch) - refused)

    def _settle(self, queue: _RunQueue, failure: UnreachableError | None) -> None:
        now = time.monotonic()
        queue.is_sending = False
        if failure is not None:
            self._wait_after(failure, queue, now)
        if not queue.entries:
            self._queues.pop(queue.run_id, None)
            if self._deadline is not None:
                self._changed.notify_all()
        elif failure is None:
            self._make_due(queue, min(queue.next_due, now + queue.linger))

    def _wait_after(self, failure: UnreachableError, queue: _RunQueue, now: float) -> None:
        if self._deadline is not None:
            self._drop(queue, queue.entries, "worker ended")
            return
        queue.errors += failure.status is not None
        if queue.errors >= _MOST_ERRORS:
            self._drop(queue, queue.entries, "refused by the platform")
            queue.errors = 0
            return
        old = [entry for entry in queue.entries if now - entry.since > _MOST_SECONDS]
        self._drop(queue, old, "platform not reachable")
        self._failures += 1
        number = queue.errors if failure.status == _NOT_FOUND else self._failures
        pause = failure.retry_after_seconds
        if pause is None:
            pause = backoff_pause(
                max(number, 1), first=_FIRST_PAUSE_SECONDS, factor=2, longest=_LONGEST_PAUSE_SECONDS
            )
        if failure.status != _NOT_FOUND:  # else it is this run alone that is not known yet
            self._paused_until = now + pause
        if queue.entries:
            self._make_due(queue, now + pause)

    def _drop(self, queue: _RunQueue, entries: Iterable[_Entry], reason: Reason) -> None:
        dropped = list(entries)
        queue.remove(dropped)
        self._release(dropped)
        self._losses.add(reason, len(dropped))

    def _release(self, entries: list[_Entry]) -> None:
        self._waiting -= len(entries)
        self._bytes -= sum(entry.size for entry in entries)


class _Entry:
    """A report that waits, with its text once that has been made."""

    __slots__ = ("_text", "report", "since", "size")

    def __init__(self, report: Event | Registration, size: int, since: float) -> None:
        self.report = report
        self.size = size
        self.since = since
        self._text: bytes | None = None

    @property
    def text(self) -> bytes:
        """The event as JSON."""
        if self._text is None:
            self._text = self.report.to_json() if isinstance(self.report, Event) else b""
        return self._text


class _RunQueue:
    """The reports of one run that wait, in order.

    Attributes:
        run_id: the run.
        entries: the reports; those that are being sent are at the front.
        due: when they are to be sent, by `time.monotonic`.
        next_due: the same for reports that came while others were being sent.
        is_sending: True while a thread sends reports of this run.
        errors: responses in a row by which the platform did not take the first reports.
    """

    __slots__ = ("due", "entries", "errors", "is_sending", "next_due", "run_id")

    def __init__(self, run_id: str) -> None:
        self.run_id = run_id
        self.entries: deque[_Entry] = deque()
        self.due = _NEVER
        self.next_due = _NEVER
        self.is_sending = False
        self.errors = 0

    @property
    def linger(self) -> float:
        """Time that the first report may wait."""
        first = self.entries[0].report
        return first.linger_seconds if isinstance(first, Event) else 0.0

    def awaits(self, when: float) -> bool:
        """Return True if an entry of the heap is not outdated."""
        return not self.is_sending and bool(self.entries) and (when == self.due or when == 0.0)

    def first_entries(self) -> list[_Entry]:
        """Return the registration at the front, or the events before the next one."""
        found: list[_Entry] = []
        for entry in self.entries:
            is_registration = isinstance(entry.report, Registration)
            if found and is_registration:
                break
            found.append(entry)
            if is_registration or len(found) == _MOST_BATCH_EVENTS:
                break
        return found

    def remove(self, entries: list[_Entry]) -> None:
        """Remove reports that were sent or dropped."""
        gone = {id(entry) for entry in entries}
        self.entries = deque(entry for entry in self.entries if id(entry) not in gone)


def _fitting(entries: list[_Entry]) -> list[_Entry]:
    """Return the first entries whose texts fit into one batch; one in any case."""
    if isinstance(entries[0].report, Registration):
        return entries
    size, number = len(entries[0].text), 1
    for entry in entries[1:]:
        size += 1 + len(entry.text)
        if size > _MOST_BATCH_BYTES - _BATCH_OVERHEAD:
            break
        number += 1
    return entries[:number]


class _Losses:
    """Counts dropped reports, and logs them once a minute."""

    def __init__(self) -> None:
        self.total: Counter[str] = Counter()
        self._unlogged: Counter[str] = Counter()
        self._next_log = 0.0

    def add(self, reason: Reason, number: int) -> None:
        if not number:
            return
        self.total[reason] += number
        self._unlogged[reason] += number
        count_reports("dropped", number, reason)
        self.log()

    def log(self, *, force: bool = False) -> None:
        now = time.monotonic()
        if not self._unlogged or (now < self._next_log and not force):
            return
        self._next_log = now + _LOG_SECONDS
        reasons = ", ".join(f"{reason}: {number}" for reason, number in self._unlogged.items())
        self._unlogged.clear()
        _logger.warning(
            "Events dropped (%s). Workflows are not affected; their streams on the platform have "
            "gaps. MISTRAL_OFFLOAD_EVENTS=off turns reports off",
            reasons,
        )
