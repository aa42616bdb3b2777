"""Values of an activity that are transferred while it runs, and not before or after.

Temporal decodes arguments before an activity runs, and encodes the result when it has ended. It
sends no heartbeats at these times, so a slow transfer makes the server start the activity again. A
worker therefore has the converter of this module: it leaves arguments undecoded, and takes values
that are encoded already. `ActivityTransfers` does both inside of the activity.
"""

from __future__ import annotations

import asyncio
import contextvars
from collections.abc import Callable, Coroutine, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias

from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    SerializationContext,
    WithSerializationContext,
)
from typing_extensions import Self

from mistral_offload.temporal.codec import OffloadingCodec
from mistral_offload.temporal.worker_scope import is_worker_before_activity

_Decode: TypeAlias = Callable[[], Coroutine[Any, Any, list[Any]]]

_MOST_COPIES = 256
"""Number of contexts that a converter keeps its copies for."""


@dataclass(frozen=True, slots=True)
class EncodedValue:
    """A value that needs no conversion and no codec any more."""

    payload: Payload


@dataclass(frozen=True, slots=True)
class UnencodableValue:
    """A value whose encoding has failed already."""

    error: Exception


class DeferredValue:
    """Stands in for a value until `DeferredValues.decode` is called."""

    def __repr__(self) -> str:
        return "<a value that was not decoded yet>"


class DeferredValues(list[Any]):
    """A list of values that are still payloads, of the same length.

    Attributes:
        payloads: the payloads.
    """

    def __init__(self, payloads: Sequence[Payload], decode: _Decode) -> None:
        super().__init__(DeferredValue() for _ in payloads)
        self.payloads = payloads
        self._decode = decode
        self._context = contextvars.copy_context()

    async def decode(self) -> list[Any]:
        """Return the values, decoded on behalf of the worker as Temporal would have done it."""
        # A task of its own: the codec's caller, a worker, is determined by context variables.
        return await self._context.run(asyncio.ensure_future, self._decode())


@dataclass(frozen=True)
class WorkerDataConverter(DataConverter):
    """The data converter of a worker that has `ActivityTransfers`.

    Attributes:
        keeps_copies: True if only the payload converter and the codec take a context, and copies of
            them depend on nothing else, so that they can be used again. Temporal makes a copy for
            the same context about ten times for each activity.
        for_activity: True if the payloads are those of an activity.
    """

    keeps_copies: bool = field(default=False, repr=False, compare=False)
    for_activity: bool = field(default=False, repr=False, compare=False)
    _copies: dict[SerializationContext, Any] = field(
        init=False, default_factory=dict[SerializationContext, Any], repr=False, compare=False
    )

    @classmethod
    def of(cls, converter: DataConverter, *, keeps_copies: bool = False) -> Self:
        """Return a converter with the settings of another one."""
        settings = [each.name for each in fields(converter) if each.init]
        values: dict[str, Any] = {name: getattr(converter, name) for name in settings}
        return cls(**values, keeps_copies=keeps_copies)

    def with_context(self, context: SerializationContext) -> Self:
        """Return a copy for the payloads of one workflow or activity."""
        kept: Self | None = self._copies.get(context)
        if kept is not None:
            return kept
        other = self._copy(context) if self.keeps_copies else super().with_context(context)
        if other is not self:
            is_activity = isinstance(context, ActivitySerializationContext)
            object.__setattr__(other, "for_activity", is_activity)
        if self.keeps_copies:
            if len(self._copies) >= _MOST_COPIES:
                self._copies.clear()
            self._copies[context] = other
        return other

    def _copy(self, context: SerializationContext) -> Self:
        # Temporal's own way makes new converters first, which takes ten times as long.
        other = object.__new__(type(self))
        codec, converter = self.payload_codec, self.payload_converter
        parts: dict[str, Any] = {"payload_codec": codec, "payload_converter": converter}
        for name, part in parts.items():
            if isinstance(part, WithSerializationContext):
                parts[name] = part.with_context(context)
        vars(other).update(vars(self), **parts, _copies={})
        return other

    async def encode(self, values: Sequence[Any]) -> list[Payload]:
        """Encode values; those that are encoded already stay as they are."""
        for value in values:
            if isinstance(value, UnencodableValue):
                raise value.error
        others = [value for value in values if not isinstance(value, EncodedValue)]
        encoded = iter(await super().encode(others) if others or not values else [])
        return [
            value.payload if isinstance(value, EncodedValue) else next(encoded) for value in values
        ]

    async def decode(
        self, payloads: Sequence[Payload], type_hints: list[type] | None = None
    ) -> list[Any]:
        """Decode values; defer it for an activity that is about to run, unless it is no work.

        Heartbeat details have no type hints; they are always deferred, because Temporal calls an
        error of their decoding final.
        """
        decode = super().decode
        if type_hints is not None and self._is_decoded(payloads):
            return await decode(payloads, type_hints)
        if payloads and self.for_activity and is_worker_before_activity():
            return DeferredValues(payloads, lambda: decode(payloads, type_hints))
        return await decode(payloads, type_hints)

    def _is_decoded(self, payloads: Sequence[Payload]) -> bool:
        codec = self.payload_codec
        return (
            self.external_storage is None
            and isinstance(codec, OffloadingCodec)
            and not codec.needs_decoding(payloads)
        )
