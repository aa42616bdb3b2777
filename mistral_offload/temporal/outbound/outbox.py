"""What a workflow is about to send, known before Temporal asks to have it encoded.

Temporal encodes an answer's payloads one list after the other: the first could not know what else
is to fit into the message, and every upload would wait for the one before it. But a workflow's
values are converted before that, all of them. So the converter writes each down here and gives its
payload a mark, by which the codec finds the whole batch again with the first payload it sees. The
codec takes the marks off. Payloads too small to be offloaded have none.
"""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any
from weakref import WeakValueDictionary

import temporalio.workflow
from temporalio.api.common.v1 import Payload

from mistral_offload.limits import SMALLEST_OFFLOADED_BYTES
from mistral_offload.temporal.outbound.size_budget import Ledger, Weight, list_threshold, threshold
from mistral_offload.temporal.wire.owner import PayloadOwner

MARK = "__offload_departure"


@dataclass(eq=False)
class OutboxEntry:
    """One payload on its way out.

    Attributes:
        payload: as it was converted, without the mark.
        owner: on whose behalf it is sent.
        list_floor: from which size on payloads leave for its list to fit.
        replaying: history has it already, so nothing needs to be written.
        encoding: the work on it, once it has begun ahead of time.
    """

    payload: Payload
    owner: PayloadOwner
    list_floor: int | None
    replaying: bool
    encoding: Any = None


@dataclass(eq=False)
class Batch:
    """What one run of a workflow converted since its last answer.

    Attributes:
        ledger: the message that all of it goes into, perhaps with earlier batches.
        let_go: called when the codec has seen it: what is converted from now on makes another
            batch, and only the codec keeps this one.
        entries: the payloads, in the order of their conversion.
        begun: that has happened.
    """

    ledger: Ledger
    let_go: Callable[[], None]
    entries: list[OutboxEntry] = field(default_factory=list[OutboxEntry])
    begun: bool = False

    def plan(self, *, even: bool) -> list[int | None]:
        """Begin, and say from how many bytes on each payload leaves for the message to fit.

        The largest leave first; ``even`` gives each the same share instead, for when it is not
        known before what they will weigh.
        """
        self.begun = True
        self.let_go()
        weights = [
            Weight.of(entry.payload)
            for entry in self.entries
            if not entry.owner.is_local  # arguments that stay in the worker
        ]
        floor = threshold(weights, self.ledger.room)
        if floor is not None and even:
            floor = self.ledger.room // len(weights)
        self.ledger.reserve(
            weight.whole if floor is None or weight.data < floor else weight.left
            for weight in weights
        )
        floors = [
            (None if entry.owner.is_local else floor, entry.list_floor) for entry in self.entries
        ]
        return [min((each for each in pair if each is not None), default=None) for pair in floors]


_numbers = itertools.count(1)
_batches: WeakValueDictionary[int, Batch] = WeakValueDictionary()
_lock = threading.Lock()


class Outbox:
    """The batches of one workflow run, one after the other."""

    def __init__(self) -> None:
        self._number = 0
        self._batch: Batch | None = None
        self._ledger = Ledger()
        self._history_length = -1

    def note(self, payloads: Sequence[Payload], owner: PayloadOwner) -> list[Payload]:
        """Copies with marks of those that may be offloaded; inside a workflow only."""
        replaying = temporalio.workflow.unsafe.is_replaying_history_events()
        list_floor = list_threshold(payloads)
        marked: list[Payload] = []
        for payload in payloads:
            if len(payload.data) < SMALLEST_OFFLOADED_BYTES or MARK in payload.metadata:
                marked.append(payload)  # too small, or noted before
                continue
            batch = self._current()
            mark = f"{self._number}.{len(batch.entries)}".encode()
            batch.entries.append(OutboxEntry(payload, owner, list_floor, replaying))
            marked.append(Payload(metadata={**payload.metadata, MARK: mark}, data=payload.data))
        return marked

    def _current(self) -> Batch:
        history_length = temporalio.workflow.info().get_current_history_length()
        if history_length != self._history_length:
            # Else several answers make one message: the task they belong to is still the same.
            self._history_length = history_length
            self._ledger = Ledger()
            self._batch = None
        batch = self._batch
        if batch is None:
            batch = self._batch = Batch(self._ledger, self._let_go)
            with _lock:
                self._number = next(_numbers)
                _batches[self._number] = batch
        return batch

    def _let_go(self) -> None:
        self._batch = None


def find_entry(payload: Payload) -> tuple[Batch, OutboxEntry] | None:
    """What was written down about a marked payload; None when there is no mark, or it is old."""
    mark = payload.metadata.get(MARK)
    if not mark:
        return None
    try:
        number, index = map(int, mark.split(b"."))
        with _lock:
            batch = _batches[number]
        return batch, batch.entries[index]
    except (KeyError, ValueError, IndexError):
        return None


def without_mark(payload: Payload) -> Payload:
    """A payload as it would be without all this; the same object when it has no mark."""
    if MARK not in payload.metadata:
        return payload
    metadata = {key: value for key, value in payload.metadata.items() if key != MARK}
    return Payload(metadata=metadata, data=payload.data)
