"""A typical hand-written codec: it checks for, stores and reads a payload each time."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence

from temporalio.api.common.v1 import Payload
from temporalio.converter import PayloadCodec

from benchmarks.servers import Bucket
from benchmarks.ways import Naive

_ENCODING = b"binary/by-hand"
_MIN_BYTES = 16 * 1024


class NaiveCodec(PayloadCodec):
    """Stores blobs under their SHA-256 with `Naive` transfers."""

    def __init__(self, bucket: Bucket) -> None:
        self._transfers = Naive(bucket)

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Store large payloads."""
        return [await self._encode(payload) for payload in payloads]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        """Read stored payloads."""
        return [await self._decode(payload) for payload in payloads]

    async def _encode(self, payload: Payload) -> Payload:
        if len(payload.data) < _MIN_BYTES:
            return payload
        blob = payload.SerializeToString()
        key = f"by-hand/{hashlib.sha256(blob).hexdigest()}"
        await asyncio.to_thread(self._transfers.put, key, blob)
        return Payload(metadata={"encoding": _ENCODING}, data=key.encode())

    async def _decode(self, payload: Payload) -> Payload:
        if payload.metadata.get("encoding") != _ENCODING:
            return payload
        return Payload.FromString(
            await asyncio.to_thread(self._transfers.get, payload.data.decode())
        )
