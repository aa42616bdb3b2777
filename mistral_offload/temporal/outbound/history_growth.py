"""Offloading floors that fall as the history of an execution grows.

Temporal terminates an execution whose history reaches 50 MiB. A payload that is sent in place stays
in the history, so the floor of such payloads is low, and falls with every 10 MiB of history.

The result of an activity or a child is encoded in another process, which cannot know the caller's
history. Once the caller's floor has fallen, the call therefore carries it in a Temporal header.
Calls that are still running count as well, each with its floor, 512 KiB at most: of a thousand
calls started at once, the later ones receive a lower floor. Official workers ignore the header.
"""

from __future__ import annotations

import logging
import threading
from asyncio import AbstractEventLoop, Future, get_running_loop
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from typing import Any
from weakref import WeakKeyDictionary

import temporalio.workflow
from temporalio.api.common.v1 import Payload
from typing_extensions import Self

from mistral_offload.limits import (
    HISTORY_LIMIT_BYTES,
    HISTORY_WARNING_BYTES,
    LOW_FLOOR_BYTES,
    MIB,
    SMALLEST_OFFLOADED_BYTES,
)

_logger = logging.getLogger("mistral_offload.worker")

FLOOR_HEADER = "mistral-offload-floor"
"""Name of the header with the offloading floor of a call's result, in bytes, as JSON."""

_LOWEST_FLOORS = (
    # With fewer calls than Temporal's limit of 2,000 pending ones, the last floor is never reached
    # by a fan-out alone: 40 results of 256 KiB, 160 of 64, 640 of 16 and 1,280 of 8 are 40 MiB.
    (HISTORY_WARNING_BYTES, 64 * 1024),
    (20 * MIB, 16 * 1024),
    (30 * MIB, 8 * 1024),
    (40 * MIB, SMALLEST_OFFLOADED_BYTES),
)
"""Size of a history, and the offloading floor from that size on; both in bytes."""

_MOST_EXPECTED = 512 * 1024
"""Largest size in bytes that the result of a pending call is expected to have."""

_outcome_floor: ContextVar[int | None] = ContextVar(
    "mistral_offload_outcome_floor", default=HISTORY_LIMIT_BYTES
)


def floor_at(history_size: int, base: int) -> int:
    """Return the offloading floor of payloads that are added to a history.

    Args:
        history_size: size of the history in bytes.
        base: floor in bytes while the history is short.
    """
    if history_size < HISTORY_WARNING_BYTES:
        return base
    return min([base, *(floor for size, floor in _LOWEST_FLOORS if history_size >= size)])


def outcome_floor(base: Callable[[], int | None]) -> int | None:
    """Return the offloading floor of a payload that the current asyncio task sends.

    None when only the ordinary threshold applies.

    Args:
        base: returns the floor of payloads that stay in a history.
    """
    floor = _outcome_floor.get()
    if floor is None:
        return None
    lowest = base()
    return None if lowest is None else min(floor, lowest)


def set_outcome_floor(floor: int | None) -> None:
    """Set the highest floor, in bytes, of everything that the current asyncio task sends later.

    None for the ordinary threshold.
    """
    _outcome_floor.set(floor)


@contextmanager
def outcome_floor_raised() -> Generator[None]:
    """Apply only the ordinary threshold to what the current asyncio task sends inside."""
    token = _outcome_floor.set(None)
    try:
        yield
    finally:
        _outcome_floor.reset(token)


def received_floor(headers: Mapping[str, Payload]) -> int:
    """Return the highest floor of a call's result, in bytes, as its headers say."""
    header = headers.get(FLOOR_HEADER)
    return parse_floor(None if header is None else header.data.decode(errors="replace"))


def parse_floor(text: str | None) -> int:
    """Return a floor in bytes from the text of a header; the highest without such a text."""
    if text is None or not (text.isascii() and text.isdigit()):
        return HISTORY_LIMIT_BYTES
    return max(SMALLEST_OFFLOADED_BYTES, int(text[:10]))


@dataclass(slots=True)
class PendingCall:
    """A call whose result will be part of the history.

    A context manager around its start, which forgets the call if that fails.

    Attributes:
        headers: the headers of the call, with the floor of its result if that has fallen.
        forget: called once when the call has ended.
    """

    headers: Mapping[str, Payload]
    forget: Callable[[], None]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.forget()

    def end_with(self, handle: Future[Any]) -> None:
        """Forget the call as soon as its handle is done."""
        handle.add_done_callback(lambda _: self.forget())


_histories: WeakKeyDictionary[AbstractEventLoop, HistoryGrowth] = WeakKeyDictionary()
_lock = threading.Lock()


def current_history() -> HistoryGrowth:
    """Return the history of the workflow that is running."""
    history = _known_history()
    if history is None:
        # The run's converter registers the history. It cannot be reached from here, since Temporal
        # wraps it, but it converts this value.
        temporalio.workflow.payload_converter().to_payload(None)
        history = _known_history()
    return history or register_history(HistoryGrowth(None))


def register_history(history: HistoryGrowth) -> HistoryGrowth:
    """Make this the history of the workflow that is running, and return it."""
    with _lock:
        _histories[get_running_loop()] = history
    return history


def _known_history() -> HistoryGrowth | None:
    with _lock:
        return _histories.get(get_running_loop())


class HistoryGrowth:
    """Size and expected growth of the history of one workflow run.

    Its methods must be called inside the workflow.

    Args:
        base: offloading floor in bytes while the history is short; None when nothing is offloaded.
    """

    def __init__(self, base: int | None) -> None:
        self._base = base
        self._expected = 0
        self._has_warned = False

    def floor(self) -> int | None:
        """Return the offloading floor of payloads that the workflow sends now."""
        size = self.check()
        return None if self._base is None else floor_at(size, self._base)

    def check(self) -> int:
        """Return the size of the history in bytes; warn once when it has become large."""
        info = temporalio.workflow.info()
        size = info.get_current_history_size()
        if size >= HISTORY_WARNING_BYTES and not self._has_warned:
            # A replay passes the same sizes again; the first worker has warned then.
            self._has_warned = True
            if not temporalio.workflow.unsafe.is_replaying():
                _logger.warning(
                    "execution %r has a history of %s MiB; Temporal terminates it at %s MiB. %s",
                    info.workflow_id,
                    f"{size / MIB:.1f}",
                    HISTORY_LIMIT_BYTES // MIB,
                    self._remedy,
                )
        return size

    def calling(self, headers: Mapping[str, Payload], *, is_local: bool = False) -> PendingCall:
        """Count the result of a call as part of the history, while it is started and pending.

        Args:
            headers: the headers of the call so far.
            is_local: True for a local activity.
        """
        size = self.check()
        if self._base is None:
            return PendingCall(headers, lambda: None)
        base = min(self._base, LOW_FLOOR_BYTES) if is_local else self._base
        floor = floor_at(size + self._expected, base)
        if floor < base:
            header = Payload(metadata={"encoding": b"json/plain"}, data=str(floor).encode())
            headers = {**headers, FLOOR_HEADER: header}

        expected = min(floor, _MOST_EXPECTED)

        def forget() -> None:
            self._expected -= expected

        self._expected += expected
        return PendingCall(headers, forget)

    @property
    def _remedy(self) -> str:
        if self._base is None:
            return (
                "Configure payload offloading (TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG__…), or "
                "continue as new before that"
            )
        return (
            "Smaller payloads are offloaded from now on. Continue as new before the limit; send "
            "smaller signals and updates; or offload more from the start, by "
            "history_min_size_bytes (TEMPORAL_PAYLOAD_OFFLOADING__HISTORY_MIN_SIZE_BYTES, now "
            f"{self._base:,})"
        )
