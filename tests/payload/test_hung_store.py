"""Work that needs no transfer does not wait for a store that does not respond."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncGenerator

import pytest
import pytest_asyncio

from mistral_offload.config import (
    BlobStorageConfig,
    FieldOffloadingConfig,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadEncryptionMode,
    PayloadOffloadingConfig,
)
from mistral_offload.fields.field import OffloadableField
from mistral_offload.fields.offloader import FieldOffloader
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.workflows import OffloadableModel
from tests.bounds import within

CONTEXT = PayloadContext("namespace", "execution")
STORAGE = BlobStorageConfig(bucket_name="stands-in")
OFFLOADING = PayloadOffloadingConfig(storage_config=STORAGE, min_size_bytes=1_000_000)


class HangingStore(MemoryStore):
    """Stops responding while ``hangs`` is True."""

    def __init__(self) -> None:
        super().__init__(connections=2)
        self.hangs = False
        self.released = threading.Event()

    def _put(self, key: str, data: bytes, sha256: str | None, overwrite: bool) -> bool:
        if self.hangs:
            assert self.released.wait(60)
        return super()._put(key, data, sha256, overwrite)


class Document(OffloadableModel):
    text: OffloadableField[str]


@pytest_asyncio.fixture
async def store() -> AsyncGenerator[HangingStore]:
    store = HangingStore()
    yield store
    store.released.set()
    await store.close_async()


@contextlib.asynccontextmanager
async def hanging(store: HangingStore) -> AsyncGenerator[None]:
    """Occupy every thread of the store, and more calls than it has threads."""
    plain = PayloadEncoder(OFFLOADING, store=store)
    store.hangs = True
    waiting = [
        asyncio.ensure_future(plain.encode_async(b'"%d%s"' % (n, b"x" * 2_000_000), CONTEXT))
        for n in range(6)
    ]
    await asyncio.sleep(0.1)
    try:
        yield
        assert not any(each.done() for each in waiting)
    finally:
        store.released.set()
        await within(asyncio.gather(*waiting))


@pytest.mark.parametrize("size", [100, 100_000, 900_000])
@pytest.mark.parametrize("mode", list(PayloadEncryptionMode))
async def test_encryption_and_compression(
    store: HangingStore, size: int, mode: PayloadEncryptionMode
) -> None:
    encryption = PayloadEncryptionConfig(mode=mode, main_key="ab" * 32)  # pyright: ignore[reportArgumentType]
    compression = PayloadCompressionConfig(min_size_bytes=50_000)
    encoder = PayloadEncoder(
        OFFLOADING, encryption=encryption, compression=compression, store=store
    )
    data = b'"%s"' % (b"m" * size)
    async with hanging(store):
        encoded = await within(encoder.encode_async(data, CONTEXT))
        assert await within(encoder.decode_async(encoded)) == data
        valued = await within(encoder.encode_value_async("m" * size, CONTEXT))
        assert await within(encoder.decode_value_async(valued)) == "m" * size


@pytest.mark.parametrize("encrypted", [False, True])
async def test_blobs_in_memory(store: HangingStore, encrypted: bool) -> None:
    encryption = PayloadEncryptionConfig(mode="full", main_key="ab" * 32)  # pyright: ignore[reportArgumentType]
    encoder = PayloadEncoder(OFFLOADING, encryption=encryption if encrypted else None, store=store)
    data = b'"%s"' % (b"m" * 3_000_000)
    encoded = await encoder.encode_async(data, CONTEXT)
    assert encoded.is_offloaded
    async with hanging(store):
        assert await within(encoder.decode_async(encoded)) == data
        value = await within(encoder.decode_value_async(encoded))
        assert value == "m" * 3_000_000
        # As during a replay: only the reference is needed.
        again = encoder.encode_async(data, CONTEXT, write=False)
        assert (await within(again)).is_offloaded


async def test_fields(store: HangingStore) -> None:
    fields = FieldOffloader(FieldOffloadingConfig(storage_config=STORAGE), store=store)
    large = Document(text=OffloadableField("m" * 3_000_000))
    moved = await fields.offload_async(large, namespace="n", run_id="r")
    assert moved.text.blob_ref is not None
    async with hanging(store):
        small = Document(text=OffloadableField("m" * 100_000))
        same = await within(fields.offload_async(small, namespace="n", run_id="r"))
        assert same.text.blob_ref is None
        restored = await within(fields.restore_async(moved))
        assert restored.text.get_value() == "m" * 3_000_000
