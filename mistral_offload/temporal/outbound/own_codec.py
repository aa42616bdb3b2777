"""An application's own payload codec, in front of this package's codec.

On the way out its codec is the first, so it sees values as they were converted; on the way in it is
the last. Sizes are planned with its output. Its encodings may have the names that ours have:
``binary/encrypted`` is that of Temporal's sample.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec, SerializationContext, WithSerializationContext

from mistral_offload.errors import ConfigurationError
from mistral_offload.temporal.failures.lost_payloads import read_failure
from mistral_offload.temporal.wire.plain_payloads import is_recorded


class OwnCodec:
    """Applies an application's codec to the payloads that are its own.

    Args:
        codec: the application's codec.
    """

    def __init__(self, codec: PayloadCodec) -> None:
        self._original = self._codec = codec

    def with_context(self, context: SerializationContext | None) -> OwnCodec:
        """Return a copy for the payloads of one workflow or activity, as Temporal would make it."""
        other = OwnCodec(self._original)
        if context is not None and isinstance(self._original, WithSerializationContext):
            other._codec = self._original.with_context(context)
        return other

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode payloads, except those that this package has encoded already.

        Raises:
            ConfigurationError: the codec returns more or fewer payloads than it was given.
        """
        return await self._apply(self._codec.encode, payloads, is_recorded)

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode payloads, except placeholders for lost ones.

        Raises:
            ConfigurationError: the codec returns more or fewer payloads than it was given.
        """
        return await self._apply(self._codec.decode, payloads, _is_lost)

    async def _apply(
        self,
        function: Callable[[Sequence[Payload]], Awaitable[list[Payload]]],
        payloads: Sequence[Payload],
        is_left_out: Callable[[Payload], bool],
    ) -> list[Payload]:
        given = [payload for payload in payloads if not is_left_out(payload)]
        returned = list(await function(given)) if given else []
        if len(returned) != len(given):
            raise ConfigurationError(
                f"the application's codec {type(self._codec).__qualname__} returns "
                f"{len(returned)} payloads for {len(given)}; OffloadPlugin needs one for each"
            )
        results = iter(returned)
        return [payload if is_left_out(payload) else next(results) for payload in payloads]


def _is_lost(payload: Payload) -> bool:
    return read_failure(payload) is not None
