"""Encodes lists of payloads so that each list, and the message it is part of, can be delivered."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from temporalio.api.common.v1 import Payload
from temporalio.runtime import Runtime

from mistral_offload._gather import gather_or_cancel
from mistral_offload.limits import INLINE_LIMIT_BYTES, LOW_FLOOR_BYTES, SMALLEST_OFFLOADED_BYTES
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.outbound.outbox import Batch, OutboxEntry, find_entry, without_mark
from mistral_offload.temporal.outbound.sdk_internals import Capability, lost_capabilities
from mistral_offload.temporal.outbound.size_budget import (
    Ledger,
    list_size,
    list_threshold,
    too_large,
)
from mistral_offload.temporal.wire.owner import PayloadOwner

_logger = logging.getLogger("mistral_offload.worker")


class EncodeOne(Protocol):
    """Encodes one payload for its owner; see `PayloadEncoder.encode` for the rest."""

    async def __call__(  # noqa: D102 - said above
        self,
        payload: Payload,
        owner: PayloadOwner,
        *,
        offload: bool | None = None,
        floor: int | None = None,
        write: bool = True,
    ) -> Payload: ...


@dataclass
class _Message:
    """What a workflow task sends; keeps its batches until the task has ended."""

    ledger: Ledger = field(default_factory=Ledger)
    batches: list[Batch] = field(default_factory=list[Batch])


class MessageEncoder:
    """Decides what leaves, and begins uploads of one message together; safe to share."""

    def __init__(self, encoder: PayloadEncoder, encode_one: EncodeOne) -> None:
        self._encoder = encoder
        self._encode_one = encode_one
        self._messages: WeakKeyDictionary[asyncio.Task[Any], _Message] = WeakKeyDictionary()
        self._lost: frozenset[Capability] | None = None

    async def lost_capabilities(self, runtime: Runtime | None = None) -> frozenset[Capability]:
        """Return the capabilities lost with the installed temporalio; warns of each once."""
        if self._lost is None:
            lost = await lost_capabilities(runtime)
            if self._lost is None:  # another task may have been quicker
                self._lost = lost
                for capability in lost:
                    _logger.warning("%s", capability.warning)
        return self._lost

    async def encode(
        self, payloads: Sequence[Payload], owner: PayloadOwner, *, for_worker: bool
    ) -> list[Payload]:
        """Encode one list.

        Args:
            payloads: a list of payloads, which the server limits as a whole.
            owner: the execution that payloads without a context belong to.
            for_worker: True when a worker encodes a message of its own.

        Raises:
            PayloadTooLargeError: it is over the limit, and nothing offloads it.
            StorageError: a blob could not be written.
        """
        entries = [find_entry(payload) for payload in payloads]
        payloads = [without_mark(payload) for payload in payloads]
        in_task = for_worker or any(entries)  # only workflow code makes entries
        if not self._encoder.offloads:
            encoded = await gather_or_cancel([self._encode_one(each, owner) for each in payloads])
        else:
            counts = in_task and Capability.MESSAGE_SIZES not in await self.lost_capabilities()
            ledger = self._ledger(entries) if counts else None
            if owner.is_local:  # arguments, which stay in the worker
                ledger = None
            is_result = owner.is_local and not in_task
            floor = self._floor(payloads, ledger, is_local_result=is_result)
            encoded = await gather_or_cancel(
                [
                    self._encode_entry(found[1], floor)
                    if found
                    else self._encode_one(payload, owner, floor=floor)
                    for payload, found in zip(payloads, entries, strict=True)
                ]
            )
            encoded = await self._fit(payloads, entries, encoded, owner)
            if ledger is not None:
                fresh = zip(encoded, entries, strict=True)
                ledger.add([each for each, found in fresh if found is None])
        error = None if in_task else too_large(encoded)
        if error is not None:  # in a workflow task, raising would only make Temporal try again
            raise error
        return encoded

    def _floor(
        self, payloads: Sequence[Payload], ledger: Ledger | None, *, is_local_result: bool
    ) -> int | None:
        floors = [list_threshold(payloads)]
        if ledger is not None:
            floors.append(ledger.threshold)
        elif is_local_result or Capability.MESSAGE_SIZES in (self._lost or ()):
            # Part of some message, unknown which.
            floors.append(LOW_FLOOR_BYTES)
        return min((floor for floor in floors if floor is not None), default=None)

    def _ledger(self, entries: Sequence[tuple[Batch, OutboxEntry] | None]) -> Ledger:
        """What the current workflow task's answer holds; with new batches, all of these, too."""
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - it is known to be a worker's
        message = self._messages.setdefault(task, _Message())
        for found in entries:
            if found is not None:
                batch = found[0]
                message.ledger = batch.ledger
                if not batch.begun:
                    message.batches.append(batch)
                    self._begin(batch)
        return message.ledger

    def _begin(self, batch: Batch) -> None:
        floors = batch.plan(even=self._encoder.compresses)
        for entry, floor in zip(batch.entries, floors, strict=True):
            if entry.replaying:
                continue
            work = asyncio.ensure_future(self._encode_one(entry.payload, entry.owner, floor=floor))
            work.add_done_callback(_note_failure)
            entry.encoding = work

    async def _encode_entry(self, entry: OutboxEntry, floor: int | None) -> Payload:
        if entry.encoding is None:
            return await self._encode_one(
                entry.payload, entry.owner, floor=floor, write=not entry.replaying
            )
        # Shielded, so that another payload's failure does not cancel what is nearly there.
        encoded: Payload = await asyncio.shield(entry.encoding)
        return encoded

    async def _fit(
        self,
        payloads: Sequence[Payload],
        entries: Sequence[tuple[Batch, OutboxEntry] | None],
        encoded: list[Payload],
        owner: PayloadOwner,
    ) -> list[Payload]:
        """Offload what a threshold could not foresee: compression changes the order of sizes."""
        left = sorted(range(len(encoded)), key=lambda index: len(encoded[index].data))
        while left and list_size(encoded) > INLINE_LIMIT_BYTES:
            index = left.pop()
            if len(encoded[index].data) < SMALLEST_OFFLOADED_BYTES:
                break
            found = entries[index]
            encoded[index] = await self._encode_one(
                payloads[index],
                owner if found is None else found[1].owner,
                offload=True,
                write=found is None or not found[1].replaying,
            )
        return encoded


def _note_failure(work: asyncio.Future[Payload]) -> None:
    # Raised where the payload is encoded; if that never happens, nobody is to be warned of it.
    if not work.cancelled():
        work.exception()
