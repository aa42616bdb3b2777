"""Cost of every payload step, compared with the library calls it needs."""

from __future__ import annotations

import json
import os
import random
from collections.abc import Callable, Iterator
from dataclasses import replace
from importlib import import_module
from typing import Any, NamedTuple

import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from pydantic import SecretStr

from benchmarks.measurement import Way, race
from benchmarks.results import MEGABYTE, Line, Row, Table
from benchmarks.session import Session
from mistral_offload.config import (
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadEncryptionMode,
    PayloadOffloadingConfig,
)
from mistral_offload.payload import compression
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.encryption import Cipher
from mistral_offload.payload.partial_encryption import decrypt_marked, encrypt_marked
from mistral_offload.storage import MemoryStore

msgpack: Any = import_module("msgpack")  # it has no types

KEY = os.urandom(32)
_ROUNDS = 7
_QUICK_ROUNDS = 1
CONTEXT = PayloadContext("bench", "execution")

Call = Callable[[], object]


class Step(NamedTuple):
    """One payload step, and the library calls it needs."""

    name: str
    ours: Call
    bare_name: str
    bare: Call


def measure(session: Session) -> list[Table]:
    """Measure every step on the same text, without sending anything."""
    session.tell("steps")
    rounds = _QUICK_ROUNDS if session.quick else _ROUNDS
    text = document(marked=False)
    rows: list[Row] = []
    for step in steps(text, document(marked=True)):
        ways = [Way("mistral-offload", step.ours), Way(step.bare_name, step.bare)]
        lines = [
            _per_megabyte(line, len(text)) for line in race(ways, rounds, warm_up=not session.quick)
        ]
        rows.append(Row(step.name, lines))
    notes = f"Each step processes {len(text) / MEGABYTE:.1f} MB of JSON, like a scanned document."
    return [Table("Payload steps", rows, notes)]


def _per_megabyte(line: Line, size: int) -> Line:
    spent = (line.median_ms or 0.0) / size * MEGABYTE
    return replace(line, requests=None, connections=None, more={"ms/MB": f"{spent:.2f}"})


def document(*, marked: bool) -> bytes:
    """Return about 8 MB of JSON like a scanned document, optionally one marked field per page."""
    chance = random.Random(1)
    letters = "etaoinshrdlu"
    words = ["".join(chance.choices(letters, k=chance.randrange(2, 9))) for _ in range(5000)]
    pages = [
        {
            "number": number,
            "text": " ".join(chance.choices(words, k=300)),
            "box": [number / 7, number / 3],
            "owner": {
                "field_type": "__encrypted_str__" if marked else "text",
                "data": f"owner of page {number}",
            },
        }
        for number in range(4200)
    ]
    return json.dumps({"pages": pages}, separators=(",", ":")).encode()


def steps(text: bytes, marked: bytes) -> Iterator[Step]:
    """Yield the steps, from the cheapest to all of them combined."""
    full = PayloadEncryptionConfig(mode=PayloadEncryptionMode.FULL, main_key=SecretStr(KEY.hex()))
    cipher = Cipher(full)
    sealed = cipher.encrypt(text)
    scope = {"namespace": "bench", "execution_id": "execution"}

    def bare_encrypt(data: bytes = text) -> bytes:
        nonce = os.urandom(12)
        return nonce + AESGCM(KEY).encrypt(nonce, data, None)

    def bare_decrypt() -> bytes:
        return AESGCM(KEY).decrypt(sealed[:12], sealed[12:], None)

    yield Step("encrypt", lambda: cipher.encrypt(text), "AESGCM.encrypt", bare_encrypt)
    yield Step("decrypt", lambda: cipher.decrypt(sealed), "AESGCM.decrypt", bare_decrypt)
    yield Step(
        "encrypt a blob", lambda: cipher.encrypt_blob(text, **scope), "AESGCM.encrypt", bare_encrypt
    )

    fields = encrypt_marked(marked, cipher) or b""
    yield Step(
        "partial, no marked field",
        lambda: encrypt_marked(text, cipher),
        "json.loads, json.dumps",
        lambda: json.dumps(json.loads(text)),
    )
    yield Step(
        "partial, 4,200 marked fields",
        lambda: encrypt_marked(marked, cipher),
        "json.loads, json.dumps",
        lambda: json.dumps(json.loads(marked)),
    )
    yield Step(
        "decrypt partial",
        lambda: decrypt_marked(fields, cipher),
        "json.loads, json.dumps",
        lambda: json.dumps(json.loads(fields)),
    )

    squeezed = PayloadCompressionConfig()
    packed = compression.compress(text, squeezed) or b""
    frame = msgpack.unpackb(packed)["payload"]

    def bare_compress() -> bytes:
        packed: bytes = zstandard.ZstdCompressor(level=3).compress(text)
        return packed

    yield Step(
        "compress", lambda: compression.compress(text, squeezed), "ZstdCompressor", bare_compress
    )
    yield Step(
        "decompress",
        lambda: compression.decompress(packed),
        "ZstdDecompressor",
        lambda: zstandard.ZstdDecompressor().decompress(frame),
    )

    inline = PayloadEncoder(encryption=full, compression=squeezed)
    encoded = inline.encode(text, None)
    yield Step(
        "compress and encrypt",
        lambda: inline.encode(text, None),
        "ZstdCompressor, AESGCM.encrypt",
        lambda: bare_encrypt(bare_compress()),
    )
    yield Step(
        "decrypt and decompress",
        lambda: inline.decode(encoded),
        "AESGCM.decrypt, ZstdDecompressor",
        lambda: zstandard.ZstdDecompressor().decompress(
            msgpack.unpackb(AESGCM(KEY).decrypt(encoded.data[:12], encoded.data[12:], None))[
                "payload"
            ]
        ),
    )
    yield Step(
        "encrypt and offload to memory",
        lambda: offloading(full).encode(text, CONTEXT),
        "the same without encryption",
        lambda: offloading(None).encode(text, CONTEXT),
    )


def offloading(encryption: PayloadEncryptionConfig | None) -> PayloadEncoder:
    """Return a new encoder with an empty store, so that every blob is written."""
    config = PayloadOffloadingConfig.model_validate({"storage_config": {"bucket_name": "memory"}})
    return PayloadEncoder(config, encryption=encryption, store=MemoryStore())
