"""zstd in its envelope, and the limits of decompression."""

from __future__ import annotations

import io
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager

import msgpack
import pytest
import zstandard

from mistral_offload.errors import MistralOffloadError, PayloadDecompressionError
from mistral_offload.limits import MIB
from mistral_offload.payload.compression import compress, decompress
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.encoder import PayloadEncoder
from tests.payload.configs import compression


@contextmanager
def bounded(*, seconds: float, memory: int) -> Iterator[None]:
    tracemalloc.start()
    started = time.process_time()  # whatever else the machine does
    try:
        yield
        elapsed = time.process_time() - started
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert elapsed < seconds
    assert peak < memory, f"{peak:,} bytes"


def envelope(frame: bytes, **described: object) -> bytes:
    packed: bytes = msgpack.packb(
        {"compression": {"algorithm": "zstd", **described}, "payload": frame}
    )
    return packed


def unsized(data: bytes, level: int = 3) -> bytes:
    """Return a frame as streaming writers make them, without the content size."""
    buffer = io.BytesIO()
    writer = zstandard.ZstdCompressor(level=level).stream_writer(buffer, closefd=False)
    writer.write(data)
    writer.close()
    return buffer.getvalue()


@pytest.fixture(scope="module")
def bomb() -> bytes:
    """Return 8 kB that unpack to 256 MiB, with the size declared."""
    packed = zstandard.ZstdCompressor(level=3).compress(bytes(256 * MIB))
    assert len(packed) < 16_384
    return packed


def test_what_official_readers_need() -> None:
    packed = compress(b"x" * 1000, compression(algorithm_config={"level": 7}))
    assert packed is not None
    opened = msgpack.unpackb(packed)
    assert list(opened) == ["compression", "payload"]
    assert list(opened["compression"].items()) == [("algorithm", "zstd"), ("level", 7)]
    assert zstandard.get_frame_parameters(opened["payload"]).content_size == 1000
    assert decompress(packed) == b"x" * 1000


def test_small_and_incompressible_data_stay() -> None:
    assert compress(b"x" * 999, compression(min_size_bytes=1000)) is None
    assert compress(bytes(range(256)), compression()) is None


def test_a_bomb_is_refused_before_anything_is_allocated(bomb: bytes) -> None:
    packed = envelope(bomb)
    with (
        bounded(seconds=1, memory=MIB),
        pytest.raises(PayloadDecompressionError, match=r"268,435,456 bytes; at most 67,108,864"),
    ):
        decompress(packed, limit=64 * MIB)


def test_the_limit_can_be_configured(bomb: bytes) -> None:
    payload = EncodedPayload(envelope(bomb), (EncodingOption.COMPRESSED,))
    encoder = PayloadEncoder(compression=compression(max_decompressed_bytes=256 * MIB - 1))
    with pytest.raises(PayloadDecompressionError, match="max_decompressed_bytes"):
        encoder.decode(payload)
    assert len(PayloadEncoder().decode(payload)) == 256 * MIB


def test_frames_without_a_size_are_read_when_small() -> None:
    assert decompress(envelope(unsized(b"x" * 1000))) == b"x" * 1000
    assert decompress(envelope(unsized(bytes(MIB), level=19))) == bytes(MIB)
    large = envelope(unsized(bytes(256 * MIB)))
    with (
        bounded(seconds=1, memory=3 * MIB),
        pytest.raises(PayloadDecompressionError, match="has no content size"),
    ):
        decompress(large)
    with pytest.raises(PayloadDecompressionError):
        decompress(envelope(unsized(b"x" * 1000)), limit=999)
    with pytest.raises(PayloadDecompressionError):
        decompress(envelope(unsized(b"x" * 1000)[:-3]))


def test_a_frame_that_lies_about_its_size() -> None:
    frame = zstandard.ZstdCompressor().compress(b"x" * 300)
    assert frame[5:7] == (300 - 256).to_bytes(2, "little")
    lying = frame[:5] + (65_000).to_bytes(2, "little") + frame[7:]
    with pytest.raises(PayloadDecompressionError):
        decompress(envelope(lying))


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x80",
        b"\xc1",
        b"\x93",
        b"\xdf\xff\xff\xff\xff",
        b"\x82\xa7payload\xc6\xff\xff\xff\xff",
        b"\x81\xa7payload\xc4\x03abc",
        b"\x81" + b"\x91" * 100_000,
        b"\x81\xa1x" + b"\xdd\x00\x10\x00\x00" + b"\x80" * 0x100000,
        b"\x81\xabcompression" + b"\xdc\xff\xff" + b"\xc0" * 0xFFFF,
        envelope(b""),
        envelope(b"no frame"),
        envelope(b"\x50\x2a\x4d\x18\xff\xff\xff\x3f"),  # skippable frame, declared 1 GiB
        envelope(b"\x28\xb5\x2f\xfd"),
        envelope(b"x", level=True),
    ],
)
def test_what_is_no_envelope(data: bytes) -> None:
    with bounded(seconds=1, memory=8 * MIB), pytest.raises(PayloadDecompressionError) as caught:
        decompress(data)
    assert isinstance(caught.value, MistralOffloadError)
