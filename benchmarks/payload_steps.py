"""Cost per MB of every payload step, beside the bare library call that does its work.

``python -m benchmarks.payload_steps``. Both are measured in turns within one run, so that whatever
else the machine does slows both. Medians; a MB is 1,000,000 bytes of JSON.
"""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from collections.abc import Callable, Iterator
from typing import NamedTuple

import msgpack
import zstandard
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from rich.console import Console
from rich.table import Table

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

KEY = os.urandom(32)
ROUNDS = 15
MEGABYTE = 1_000_000
CONTEXT = PayloadContext("bench", "execution")

Call = Callable[[], object]


class Row(NamedTuple):
    """A step of ours, and the library calls it cannot do without."""

    step: str
    ours: Call
    bare_name: str
    bare: Call


def main() -> None:
    """Measure every row and print the table."""
    table = Table(title=f"Cost per MB of JSON, median of {ROUNDS} rounds")
    for heading in ("step", "ours, ms", "bare calls", "bare, ms", "ratio"):
        table.add_column(heading, justify="left" if heading in ("step", "bare calls") else "right")
    text = document(marked=False)
    for row in rows(text, document(marked=True)):
        ours, bare = measure(row)
        size = len(text) / MEGABYTE
        table.add_row(
            row.step,
            f"{ours * 1000 / size:.2f}",
            row.bare_name,
            f"{bare * 1000 / size:.2f}",
            f"{ours / bare:.2f}",
        )
    Console().print(table)


def measure(row: Row) -> tuple[float, float]:
    """Median seconds of ours and of the bare calls, taken in turns."""
    ours: list[float] = []
    bare: list[float] = []
    for number in range(ROUNDS + 1):
        for call, times in ((row.ours, ours), (row.bare, bare)):
            started = time.perf_counter()
            call()
            if number:  # the first round warms up
                times.append(time.perf_counter() - started)
    return statistics.median(ours), statistics.median(bare)


def document(*, marked: bool) -> bytes:
    """About 8 MB of JSON like that of a scanned document; a marked field on every page."""
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


def rows(text: bytes, marked: bytes) -> Iterator[Row]:
    """The table, from the cheapest step to all of them."""
    full = PayloadEncryptionConfig(mode=PayloadEncryptionMode.FULL, main_key=KEY.hex())  # type: ignore[arg-type]
    cipher = Cipher(full)
    sealed = cipher.encrypt(text)
    scope = {"namespace": "bench", "execution_id": "execution"}

    def bare_encrypt(data: bytes = text) -> bytes:
        nonce = os.urandom(12)
        return nonce + AESGCM(KEY).encrypt(nonce, data, None)

    def bare_decrypt() -> bytes:
        return AESGCM(KEY).decrypt(sealed[:12], sealed[12:], None)

    yield Row("encrypt", lambda: cipher.encrypt(text), "AESGCM.encrypt", bare_encrypt)
    yield Row("decrypt", lambda: cipher.decrypt(sealed), "AESGCM.decrypt", bare_decrypt)
    yield Row(
        "encrypt a blob", lambda: cipher.encrypt_blob(text, **scope), "AESGCM.encrypt", bare_encrypt
    )

    fields = encrypt_marked(marked, cipher) or b""
    yield Row(
        "partial, no marked field",
        lambda: encrypt_marked(text, cipher),
        "json.loads, json.dumps",
        lambda: json.dumps(json.loads(text)),
    )
    yield Row(
        "partial, 4,200 marked fields",
        lambda: encrypt_marked(marked, cipher),
        "json.loads, json.dumps",
        lambda: json.dumps(json.loads(marked)),
    )
    yield Row(
        "undo partial",
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

    yield Row(
        "compress", lambda: compression.compress(text, squeezed), "ZstdCompressor", bare_compress
    )
    yield Row(
        "decompress",
        lambda: compression.decompress(packed),
        "ZstdDecompressor",
        lambda: zstandard.ZstdDecompressor().decompress(frame),
    )

    inline = PayloadEncoder(encryption=full, compression=squeezed)
    encoded = inline.encode(text, None)
    yield Row(
        "compress and encrypt",
        lambda: inline.encode(text, None),
        "ZstdCompressor, AESGCM.encrypt",
        lambda: bare_encrypt(bare_compress()),
    )
    yield Row(
        "decrypt and decompress",
        lambda: inline.decode(encoded),
        "AESGCM.decrypt, ZstdDecompressor",
        lambda: zstandard.ZstdDecompressor().decompress(
            msgpack.unpackb(AESGCM(KEY).decrypt(encoded.data[:12], encoded.data[12:], None))[
                "payload"
            ]
        ),
    )
    yield Row(
        "encrypt and offload to memory",
        lambda: offloading(full).encode(text, CONTEXT),
        "the same without encryption",
        lambda: offloading(None).encode(text, CONTEXT),
    )


def offloading(encryption: PayloadEncryptionConfig | None) -> PayloadEncoder:
    """A new encoder with an empty store, so that every blob is written."""
    config = PayloadOffloadingConfig.model_validate({"storage_config": {"bucket_name": "memory"}})
    return PayloadEncoder(config, encryption=encryption, store=MemoryStore())


if __name__ == "__main__":
    main()
