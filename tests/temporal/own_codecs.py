"""Payload codecs as applications have them."""

from __future__ import annotations

import base64
import os
import zlib
from collections.abc import Sequence
from copy import copy

from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from temporalio.api.common.v1 import Payload
from temporalio.converter import (
    ActivitySerializationContext,
    PayloadCodec,
    SerializationContext,
    WithSerializationContext,
    WorkflowSerializationContext,
)

KEY = bytes(range(32))


class EncryptingCodec(PayloadCodec, WithSerializationContext):
    """Encrypts with AES-GCM, as Temporal's sample; the workflow's id is authenticated as well.

    The ciphertext is base64, so payloads grow by a third.
    """

    def __init__(self, key: bytes = KEY) -> None:
        self._cipher = AESGCM(key)
        self._owner = b""

    def with_context(self, context: SerializationContext) -> EncryptingCodec:
        other = copy(self)
        if isinstance(context, (WorkflowSerializationContext, ActivitySerializationContext)):
            other._owner = (context.workflow_id or "").encode()
        return other

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(
                metadata={"encoding": b"binary/encrypted", "encryption-key-id": b"k1"},
                data=self._encrypt(payload.SerializeToString()),
            )
            for payload in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload.FromString(self._decrypt(payload.data))
            if payload.metadata.get("encoding") == b"binary/encrypted"
            else payload
            for payload in payloads
        ]

    def _encrypt(self, data: bytes) -> bytes:
        nonce = os.urandom(12)
        return base64.b64encode(nonce + self._cipher.encrypt(nonce, data, self._owner))

    def _decrypt(self, data: bytes) -> bytes:
        data = base64.b64decode(data)
        return self._cipher.decrypt(data[:12], data[12:], self._owner)


class CompressingCodec(PayloadCodec):
    """Compresses, as Temporal's sample."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload(
                metadata={"encoding": b"binary/zlib"}, data=zlib.compress(each.SerializeToString())
            )
            for each in payloads
        ]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return [
            Payload.FromString(zlib.decompress(each.data))
            if each.metadata.get("encoding") == b"binary/zlib"
            else each
            for each in payloads
        ]


class MergingCodec(PayloadCodec):
    """Returns one payload for a list."""

    async def encode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)[:1]

    async def decode(self, payloads: Sequence[Payload]) -> list[Payload]:
        return list(payloads)
