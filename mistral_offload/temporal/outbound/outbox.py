"""Payloads that a workflow is about to send, recorded before Temporal has them encoded.

Temporal encodes the payloads of a workflow task's response one list at a time. The codec alone
could not know what else the message will hold, and every upload would wait for the one before it.
But all of a workflow's values are converted before the first one is encoded. So the converter
records each payload here and marks it in its metadata. By the mark of the first payload it encodes,
the codec finds the whole batch. The codec removes the marks. Payloads too small to be offloaded are
neither recorded nor marked.

A protobuf message copies its data, and so does every message that it becomes part of. The data of a
`HeldPayload` therefore stays in the batch, which lives until the response was sent, and a stand-in
goes into the command: a payload with nothing but a mark.
"""

from __future__ import annotations

import asyncio
import itertools
import math
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from weakref import WeakValueDictionary

import temporalio.workflow
from temporalio.api.common.v1 import Payload
from temporalio.converter import SerializationContext

from mistral_offload.errors import MistralOffloadError
from mistral_offload.limits import SMALLEST_OFFLOADED_BYTES
from mistral_offload.temporal.outbound.size_budget import (
    MessageBudget,
    PayloadSize,
    list_floor,
    offloading_floor,
)
from mistral_offload.temporal.wire.held_payload import (
    HeldPayload,
    PayloadParts,
    data_size,
    to_message,
)
from mistral_offload.temporal.wire.owner import PayloadOwner

_MARK = "__offload_outbox_entry"
"""Metadata key of a mark: the number of the batch, and the index of the entry in it."""

_STAND_IN = b"binary/offload-stand-in"
"""Encoding of a stand-in. No reader knows it, so one that is sent by mistake is an error there."""


class LostStandInError(MistralOffloadError):
    """The data of a stand-in is not held any more.

    The workflow task fails, and its next attempt converts the values again.
    """

    def __init__(self) -> None:
        super().__init__("the data of a payload in a workflow's command is not held any more")


@dataclass(eq=False)
class Openness:
    """The time since which a workflow run is surely open.

    Attributes:
        seconds: time from the run's start to the start of its current workflow task, both by the
            server's clock, so that the clock of this machine does not matter.
        since: the earliest time found so far, on the clock of `time.monotonic`.
    """

    seconds: float = 0.0
    since: float = math.inf

    def note_task(self, began: float) -> float:
        """Return the time since which the run is open.

        Args:
            began: time at which the current workflow task, or a later moment of it, was seen here.
        """
        self.since = min(self.since, began - max(0.0, self.seconds))
        return self.since


@dataclass(eq=False)
class OutboxEntry:
    """An outgoing payload.

    Attributes:
        payload: the payload as it was converted, without the mark.
        owner: the execution it belongs to.
        floor: offloading floor in bytes, for its argument list to fit and the history to stay
            short; or None.
        is_replayed: True when history has the payload already, so that no blob is written.
        openness: the time since which the run is open; None for a query or a validator, which a
            closed run can have, too.
        context: Temporal's serialization context of the payload.
        own_encoding: the task of the application's own codec, which replaces the payload.
        encoding: the future of the encoded payload, once the batch is planned.
        is_kept: True when the batch is planned, and the payload needs no encoding.
    """

    payload: PayloadParts
    owner: PayloadOwner
    floor: int | None
    is_replayed: bool
    openness: Openness | None = None
    context: SerializationContext | None = None
    own_encoding: asyncio.Future[None] | None = None
    encoding: asyncio.Future[Payload] | None = None
    is_kept: bool = False


@dataclass(eq=False)
class Batch:
    """Payloads that one workflow run converted since its last response.

    Attributes:
        budget: the budget of the message that all of them go into, perhaps with earlier batches.
        on_planned: called when the batch is planned. Values converted later go into another batch,
            and only the codec still refers to this one.
        entries: the payloads, in the order of their conversion.
        is_planned: True after `plan`.
    """

    budget: MessageBudget
    on_planned: Callable[[], None]
    entries: list[OutboxEntry] = field(default_factory=list[OutboxEntry])
    is_planned: bool = False

    def plan(self, *, equal_shares: bool) -> list[int | None]:
        """Close the batch, reserve its budget and return the offloading floor of each entry.

        Args:
            equal_shares: True to give every payload the same share of the budget, for encoders
                that change the order of sizes; otherwise the largest payloads are offloaded.
        """
        self.is_planned = True
        self.on_planned()
        # Arguments of local activities stay in the worker.
        sizes = [PayloadSize.of(each.payload) for each in self.entries if not each.owner.is_local]
        floor = offloading_floor(sizes, self.budget.remaining)
        if floor is not None and equal_shares:
            floor = self.budget.remaining // len(sizes)
        self.budget.reserve(
            size.inline if floor is None or size.data < floor else size.offloaded for size in sizes
        )
        pairs = [(None if entry.owner.is_local else floor, entry.floor) for entry in self.entries]
        return [min((each for each in pair if each is not None), default=None) for pair in pairs]


_numbers = itertools.count(1)
_batches: WeakValueDictionary[int, Batch] = WeakValueDictionary()
_lock = threading.Lock()


class Outbox:
    """The batches of one workflow run, one after the other."""

    def __init__(self) -> None:
        self._number = 0
        self._batch: Batch | None = None
        self._budget = MessageBudget()
        self._history_length = -1
        self._openness = Openness()

    def record(
        self,
        payloads: Sequence[PayloadParts],
        owner: PayloadOwner,
        *,
        floor: int | None = None,
        context: SerializationContext | None = None,
    ) -> list[Payload]:
        """Record the payloads of one list, and return it with marked copies of those recorded.

        Must be called inside a workflow. For a `HeldPayload` a stand-in is returned.

        Args:
            payloads: the list, as it was converted.
            owner: the execution that payloads without a context belong to.
            floor: offloading floor in bytes that applies even if the list is delivered without.
            context: Temporal's serialization context of the payloads.
        """
        is_replayed = temporalio.workflow.unsafe.is_replaying_history_events()
        openness = None if temporalio.workflow.unsafe.is_read_only() else self._openness
        if openness is not None:
            started = temporalio.workflow.info().workflow_start_time
            openness.seconds = (temporalio.workflow.now() - started).total_seconds()
        needed = list_floor(payloads)
        if needed is not None:
            floor = needed if floor is None else min(floor, needed)
        marked: list[Payload] = []
        for payload in payloads:
            if data_size(payload) < SMALLEST_OFFLOADED_BYTES or _MARK in payload.metadata:
                marked.append(to_message(payload))  # too small, or recorded before
                continue
            batch = self._current()
            mark = f"{self._number}.{len(batch.entries)}".encode()
            batch.entries.append(OutboxEntry(payload, owner, floor, is_replayed, openness, context))
            if isinstance(payload, HeldPayload):
                marked.append(Payload(metadata={"encoding": _STAND_IN, _MARK: mark}))
            else:
                metadata = {**payload.metadata, _MARK: mark}
                marked.append(Payload(metadata=metadata, data=payload.data))
        return marked

    def _current(self) -> Batch:
        history_length = temporalio.workflow.info().get_current_history_length()
        if history_length != self._history_length:
            # A new workflow task. Within one, several responses make one message.
            self._history_length = history_length
            self._budget = MessageBudget()
            self._batch = None
        batch = self._batch
        if batch is None:
            batch = self._batch = Batch(self._budget, self._detach)
            with _lock:
                self._number = next(_numbers)
                _batches[self._number] = batch
        return batch

    def _detach(self) -> None:
        self._batch = None


def find_entry(payload: Payload) -> tuple[Batch, OutboxEntry] | None:
    """Find the batch and the entry of a marked payload.

    None for a payload without a mark, or one whose batch no longer exists.

    Raises:
        LostStandInError: it is a stand-in whose batch no longer exists.
    """
    mark = payload.metadata.get(_MARK)
    if not mark:
        return None
    try:
        number, index = map(int, mark.split(b"."))
        with _lock:
            batch = _batches[number]
        return batch, batch.entries[index]
    except (KeyError, ValueError, IndexError):
        if payload.metadata.get("encoding") == _STAND_IN:
            raise LostStandInError from None
        return None


def without_mark(payload: Payload, entry: OutboxEntry | None) -> PayloadParts:
    """Return a payload without its mark, for a stand-in the payload it stands for.

    The same object if it has no mark.

    Args:
        payload: the payload.
        entry: its entry in the outbox, if there is one.
    """
    if entry is not None:
        return entry.payload
    if _MARK not in payload.metadata:
        return payload
    metadata = {key: value for key, value in payload.metadata.items() if key != _MARK}
    return Payload(metadata=metadata, data=payload.data)
