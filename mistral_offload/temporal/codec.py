"""The Temporal codec: large values of context payloads go to the store, and come back.

Payloads of other kinds pass untouched, as the same objects. Decoding leaves the context in metadata
(the official codec rebuilds JSON inside JSON), so that reading a large value parses it once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from mistral_offload.errors import PayloadDecodeError
from mistral_offload.payload.encoded import EncodedPayload
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.temporal.payloads import carries_context, is_dissolved, read_context_payload

T = TypeVar("T")

_ENCRYPTED = b"binary/encrypted"


class OffloadingCodec(PayloadCodec):
    """Applies a `PayloadEncoder` to every context payload that passes.

    The payloads of one call are worked on at the same time. Hashing and transfers run in the
    store's threads. What is handed in is never changed.
    """

    def __init__(self, encoder: PayloadEncoder) -> None:
        self._encoder = encoder

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Encode payloads on their way to the server.

        Raises:
            PayloadDecodeError: a context payload is broken.
            StorageError: a blob could not be written.
        """
        return await _together([self._encode(payload) for payload in payloads])

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Decode payloads that come from the server.

        Raises:
            OffloadingNotConfiguredError: a reference arrived, but no storage is configured.
            PayloadDecodeError: a payload is not what its metadata says.
            ReferenceRefusedError: a reference names a key it may not name.
            StorageError: a blob is gone, damaged or could not be read.
        """
        return await _together([self._decode(payload) for payload in payloads])

    async def _encode(self, payload: Payload) -> Payload:
        if not carries_context(payload):
            return payload
        parts = read_context_payload(payload)
        if parts.options:  # encoded already, and handed on as it was
            return payload
        encoded = await self._encoder.encode_async(parts.data, parts.context)
        if not encoded.options and is_dissolved(payload):
            return payload
        return replace(parts, data=encoded.data, options=encoded.options).to_payload()

    async def _decode(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") == _ENCRYPTED:
            raise PayloadDecodeError(
                "an encrypted payload arrived, which this version cannot decrypt"
            )
        if not carries_context(payload):
            return payload
        parts = read_context_payload(payload)
        if not parts.options:
            return payload if is_dissolved(payload) else parts.to_payload()
        data = await self._encoder.decode_async(EncodedPayload(parts.data, parts.options))
        return replace(parts, data=data, options=()).to_payload()


async def _together(works: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Results in order; after a failure the others are cancelled and waited for."""
    if len(works) == 1:
        return [await works[0]]
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        return await asyncio.gather(*tasks)
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise
