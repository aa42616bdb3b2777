"""Encodes lists of payloads so that each list, and the message it is part of, fits the limits."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Generator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, Protocol
from weakref import WeakKeyDictionary

from temporalio.api.common.v1 import Payload
from temporalio.runtime import Runtime

from mistral_offload._gather import gather_or_cancel
from mistral_offload.limits import INLINE_LIMIT_BYTES, LOW_FLOOR_BYTES, SMALLEST_OFFLOADED_BYTES
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.protection import protection
from mistral_offload.temporal.outbound.history_growth import outcome_floor
from mistral_offload.temporal.outbound.outbox import Batch, OutboxEntry, find_entry, without_mark
from mistral_offload.temporal.outbound.own_codec import OwnCodec
from mistral_offload.temporal.outbound.sdk_internals import Capability, lost_capabilities
from mistral_offload.temporal.outbound.size_budget import (
    NAMESPACE_REMEDY,
    REMEDY,
    MessageBudget,
    list_floor,
    list_size,
    size_error,
)
from mistral_offload.temporal.wire.held_payload import PayloadParts, to_message
from mistral_offload.temporal.wire.owner import PayloadOwner

_logger = logging.getLogger("mistral_offload.worker")

_KEEPS_IN_PLACE: ContextVar[bool] = ContextVar("mistral_offload_keeps_in_place", default=False)


@contextmanager
def keeping_in_place() -> Generator[None]:
    """Offload nothing in tasks that are created in the block, at any threshold.

    For small payloads whose delivery must not depend on a store.
    """
    token = _KEEPS_IN_PLACE.set(True)
    try:
        yield
    finally:
        _KEEPS_IN_PLACE.reset(token)


class EncodePayload(Protocol):
    """Encodes one payload of an owner; see `PayloadEncoder.encode` for the other arguments."""

    async def __call__(  # noqa: D102 - the class says it
        self,
        payload: PayloadParts,
        owner: PayloadOwner,
        *,
        offload: bool | None = None,
        floor: int | None = None,
        write: bool = True,
    ) -> Payload: ...


@dataclass
class _Message:
    """The response of a workflow task, with batches that are kept until the task ends."""

    budget: MessageBudget = field(default_factory=MessageBudget)
    batches: list[Batch] = field(default_factory=list[Batch])


class MessageEncoder:
    """Chooses the payloads to offload, and uploads those of one message concurrently.

    One instance may be shared by several codecs.

    Args:
        encoder: its properties; it is not called.
        encode_payload: encodes one payload.
        needs_encoding: returns False for a payload that encoding, with an offloading floor in
            bytes, leaves as it is.
    """

    def __init__(
        self,
        encoder: PayloadEncoder,
        encode_payload: EncodePayload,
        needs_encoding: Callable[[PayloadParts, int | None], bool],
    ) -> None:
        self._encoder = encoder
        self._encode_payload = encode_payload
        self._needs_encoding = needs_encoding
        self._messages: WeakKeyDictionary[asyncio.Task[Any], _Message] = WeakKeyDictionary()
        self._began: WeakKeyDictionary[asyncio.Task[Any], float] = WeakKeyDictionary()
        self._lost: frozenset[Capability] | None = None

    async def lost_capabilities(self, runtime: Runtime | None = None) -> frozenset[Capability]:
        """Return the capabilities that are lost with the installed temporalio.

        The first call determines them, and logs a warning for each.

        Args:
            runtime: the runtime of this process's workers; Temporal's default if not given.
        """
        if self._lost is None:
            lost = await lost_capabilities(runtime)
            if self._lost is None:  # a concurrent call may have been quicker
                self._lost = lost
                for capability in lost:
                    _logger.warning("%s", capability.warning)
        return self._lost

    def note_task(self) -> None:
        """Note the time at which the current asyncio task began, if it is a workflow task."""
        task = asyncio.current_task()
        if task is not None:
            self._began.setdefault(task, time.monotonic())

    async def encode(
        self,
        payloads: Sequence[Payload],
        owner: PayloadOwner,
        *,
        for_worker: bool,
        own_codec: OwnCodec | None = None,
    ) -> list[Payload]:
        """Encode one list.

        Args:
            payloads: the list, which the server limits as a whole.
            owner: the execution that payloads without a context belong to.
            for_worker: True when a worker encodes the response of a workflow task.
            own_codec: the application's own codec, if any; applied first.

        Raises:
            PayloadTooLargeError: the list is over the limit, and no payload can be offloaded.
            StorageError: a blob could not be written.
            LostStandInError: the data of a payload is not held any more.
        """
        entries = [find_entry(payload) for payload in payloads]
        parts = [
            without_mark(payload, found and found[1])
            for payload, found in zip(payloads, entries, strict=True)
        ]
        if own_codec is not None:
            parts = await _encode_own(own_codec, parts, entries)
        in_workflow_task = for_worker or any(entries)  # only workflow code makes entries
        if not self._encoder.offloads or _KEEPS_IN_PLACE.get():
            encoded = await gather_or_cancel(
                [self._encode_payload(each, owner, offload=False) for each in parts]
            )
            size = list_size(encoded)
        else:
            budget = None
            if in_workflow_task:
                budget = await self._message_budget(entries, has_own_codec=own_codec is not None)
            if owner.is_local:  # arguments of a local activity, which stay in the worker
                budget = None
            result_of = None if in_workflow_task or not owner.stays_in_history else owner
            size = list_size(parts)  # found once: a protobuf message is written for it
            floor = self._floor(parts, size, budget, result_of=result_of)
            encoded, is_kept = await self._encode_list(parts, entries, owner, floor)
            if not is_kept:
                size = list_size(encoded)
            if size > INLINE_LIMIT_BYTES:
                encoded = await self._fit_list(parts, entries, encoded, owner)
                size = list_size(encoded)
            if budget is not None and not any(entries):
                budget.reserve([size])
            elif budget is not None and not all(entries):
                unplanned = zip(encoded, entries, strict=True)
                budget.add([each for each, found in unplanned if found is None])
        if in_workflow_task or size <= INLINE_LIMIT_BYTES:
            return encoded  # in a workflow task an error would only make Temporal retry it
        error = size_error(encoded, remedy=self._remedy(owner))
        if error is not None:
            raise error
        return encoded

    async def _encode_list(
        self,
        payloads: Sequence[PayloadParts],
        entries: Sequence[tuple[Batch, OutboxEntry] | None],
        owner: PayloadOwner,
        floor: int | None,
    ) -> tuple[list[Payload], bool]:
        """Encode the payloads that need it; return True as well if none does.

        No coroutine is made for the others.
        """
        encoded: list[Payload | None] = []
        encodings: list[Coroutine[Any, Any, Payload]] = []
        for payload, found in zip(payloads, entries, strict=True):
            is_kept = found[1].is_kept if found else not self._needs_encoding(payload, floor)
            encoded.append(to_message(payload) if is_kept else None)
            if not is_kept:
                encodings.append(
                    self._encode_entry(found[1], floor)
                    if found
                    else self._encode_payload(payload, owner, floor=floor)
                )
        others = iter(await gather_or_cancel(encodings)) if encodings else iter(())
        return [next(others) if each is None else each for each in encoded], not encodings

    def _remedy(self, owner: PayloadOwner) -> str:
        return NAMESPACE_REMEDY if self._encoder.offloads and owner.context is None else REMEDY

    def _floor(
        self,
        payloads: Sequence[PayloadParts],
        size: int,
        budget: MessageBudget | None,
        *,
        result_of: PayloadOwner | None,
    ) -> int | None:
        floors = [list_floor(payloads) if size > INLINE_LIMIT_BYTES else None]
        if result_of is not None:
            floors.append(outcome_floor(lambda: self._encoder.history_floor_bytes))
        if budget is not None:
            floors.append(budget.unplanned_floor)
        elif (result_of and result_of.is_local) or Capability.MESSAGE_SIZES in (self._lost or ()):
            # Part of a message whose other payloads are unknown.
            floors.append(LOW_FLOOR_BYTES)
        return min((floor for floor in floors if floor is not None), default=None)

    async def _message_budget(
        self, entries: Sequence[tuple[Batch, OutboxEntry] | None], *, has_own_codec: bool
    ) -> MessageBudget | None:
        """Return the budget of the current workflow task's response; plan new batches first.

        None if sizes cannot be added up with the installed temporalio.
        """
        lost = await self.lost_capabilities() if self._lost is None else self._lost
        if Capability.MESSAGE_SIZES in lost:
            return None
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 - workers encode in tasks
        message = self._messages.get(task)
        if message is None:
            message = self._messages[task] = _Message()
        for found in entries:
            if found is not None:
                batch = found[0]
                message.budget = batch.budget
                if not batch.is_planned:
                    message.batches.append(batch)
                    self._start_encoding(batch, has_own_codec=has_own_codec)
        return message.budget

    def _start_encoding(self, batch: Batch, *, has_own_codec: bool) -> None:
        floors = batch.plan(equal_shares=self._encoder.compresses)
        for entry, floor in zip(batch.entries, floors, strict=True):
            if entry.is_replayed or (has_own_codec and entry.own_encoding is None):
                continue
            if not self._needs_encoding(entry.payload, floor):
                entry.is_kept = True
                continue
            with protection(self._protected_since(entry)):
                encoding = asyncio.ensure_future(
                    self._encode_payload(entry.payload, entry.owner, floor=floor)
                )
            encoding.add_done_callback(_retrieve_exception)
            entry.encoding = encoding

    async def _encode_entry(self, entry: OutboxEntry, floor: int | None) -> Payload:
        if entry.encoding is None:
            with protection(self._protected_since(entry)):
                return await self._encode_payload(
                    entry.payload, entry.owner, floor=floor, write=not entry.is_replayed
                )
        # Shielded, so that another payload's failure does not cancel an upload.
        return await asyncio.shield(entry.encoding)

    def _protected_since(self, entry: OutboxEntry) -> float | None:
        """Return the time from which on the entry's run is known to be open; see `protection`."""
        if entry.openness is None:
            return None
        task = asyncio.current_task()
        now = time.monotonic()
        began = now if task is None else self._began.get(task, now)
        return entry.openness.note_task(began)

    async def _fit_list(
        self,
        payloads: Sequence[PayloadParts],
        entries: Sequence[tuple[Batch, OutboxEntry] | None],
        encoded: list[Payload],
        owner: PayloadOwner,
    ) -> list[Payload]:
        """Offload more payloads of an encoded list that is still too large.

        Compression changes the order of sizes, which a floor cannot foresee.
        """
        smallest_first = sorted(range(len(encoded)), key=lambda index: len(encoded[index].data))
        while smallest_first and list_size(encoded) > INLINE_LIMIT_BYTES:
            index = smallest_first.pop()
            if len(encoded[index].data) < SMALLEST_OFFLOADED_BYTES:
                break
            found = entries[index]
            encoded[index] = await self._encode_payload(
                payloads[index],
                owner if found is None else found[1].owner,
                offload=True,
                write=found is None or not found[1].is_replayed,
            )
        return encoded


async def _encode_own(
    own_codec: OwnCodec,
    payloads: Sequence[PayloadParts],
    entries: Sequence[tuple[Batch, OutboxEntry] | None],
) -> list[PayloadParts]:
    """Apply the application's codec to a list, and to all batches that it is part of.

    So a batch is planned by the sizes that will be sent.
    """
    for found in entries:
        if found is None:
            continue
        for entry in found[0].entries:
            if entry.own_encoding is None:
                entry.own_encoding = asyncio.ensure_future(_replace_payload(own_codec, entry))
                entry.own_encoding.add_done_callback(_retrieve_exception)
        for entry in found[0].entries:
            assert entry.own_encoding is not None  # noqa: S101 - set above
            await asyncio.shield(entry.own_encoding)
    others = [
        to_message(each) for each, found in zip(payloads, entries, strict=True) if found is None
    ]
    encoded = iter(await own_codec.encode(others))
    return [next(encoded) if found is None else found[1].payload for found in entries]


async def _replace_payload(own_codec: OwnCodec, entry: OutboxEntry) -> None:
    payload = to_message(entry.payload)
    [entry.payload] = await own_codec.with_context(entry.context).encode([payload])


def _retrieve_exception(encoding: asyncio.Future[Any]) -> None:
    # It is raised where the payload is encoded. If that never happens, asyncio must not warn of an
    # exception that was never retrieved.
    if not encoding.cancelled():
        encoding.exception()
