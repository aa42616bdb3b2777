"""zstd compression in the platform's msgpack envelope; needs the extra ``compression``.

The envelope is ``{"compression": {"algorithm": "zstd", "level": 3}, "payload": <one frame>}``.
Every call creates its own compressor or decompressor, because sharing one between threads crashes
the process.
"""

from __future__ import annotations

from importlib import import_module
from types import ModuleType
from typing import Any, NamedTuple

from mistral_offload.config import PayloadCompressionConfig
from mistral_offload.errors import MissingExtraError, PayloadDecompressionError
from mistral_offload.limits import DEFAULT_DECOMPRESSED_LIMIT_BYTES, UNSIZED_FRAME_LIMIT_BYTES

_LEVELS = range(1, 23)
_LARGEST_RATIO = 32 * 1024
"""Largest ratio of a zstd frame: a block has at least 4 bytes, and holds at most 128 KiB."""
_UNSIZED_WINDOW_BYTES = 8 * 1024 * 1024
"""Largest window of a frame without a content size; zstd's level 19 needs this much."""


class _Envelope(NamedTuple):
    frame: bytes
    level: int | None


def require_extra() -> None:
    """Check that the packages for compression are installed.

    Raises:
        MissingExtraError: the extra ``compression`` is not installed.
    """
    _load("zstandard")
    _load("msgpack")


def compress(data: bytes, config: PayloadCompressionConfig) -> bytes | None:
    """Return the envelope of the compressed data, or None if it is small or would not shrink."""
    if len(data) < config.min_size_bytes:
        return None
    level = config.algorithm_config.level
    frame: bytes = _load("zstandard").ZstdCompressor(level=level).compress(data)
    if len(frame) >= len(data):
        return None
    described = {"algorithm": config.algorithm_config.algorithm, "level": level}
    packed: bytes = _load("msgpack").packb({"compression": described, "payload": frame})
    return packed


def decompress(envelope: bytes, *, limit: int = DEFAULT_DECOMPRESSED_LIMIT_BYTES) -> bytes:
    """Decompress an envelope that `compress` returned; the size is checked first.

    Args:
        envelope: the msgpack envelope.
        limit: largest accepted content in bytes; at most 1 MiB for a frame without a content size.

    Raises:
        PayloadDecompressionError: the envelope or its frame is broken, or exceeds the limit.
    """
    frame = _read_envelope(envelope).frame
    zstandard = _load("zstandard")
    try:
        size: int = zstandard.get_frame_parameters(frame).content_size
        if size == zstandard.CONTENTSIZE_UNKNOWN:
            return _decompress_unsized(zstandard, frame, min(limit, UNSIZED_FRAME_LIMIT_BYTES))
        if size > limit:
            raise PayloadDecompressionError(
                f"a compressed payload of {len(envelope):,} bytes unpacks to {size:,} bytes; at "
                f"most {limit:,} are allowed (max_decompressed_bytes)"
            )
        if size > len(frame) * _LARGEST_RATIO:
            raise PayloadDecompressionError(
                f"the zstd frame of a compressed payload ({len(frame):,} bytes) is broken: it "
                f"cannot hold the {size:,} bytes it claims to"
            )
        data: bytes = zstandard.ZstdDecompressor().decompress(frame)
    except zstandard.ZstdError as error:
        raise PayloadDecompressionError(
            f"the zstd frame of a compressed payload ({len(frame):,} bytes) is broken: {error}"
        ) from error
    return data


def describe_envelope(envelope: bytes) -> str:
    """Return algorithm and level as text, without unpacking the content.

    Raises:
        PayloadDecompressionError: the bytes are not such an envelope.
    """
    level = _read_envelope(envelope).level
    return "zstd" if level is None else f"zstd level {level}"


def _decompress_unsized(zstandard: ModuleType, frame: bytes, limit: int) -> bytes:
    decompressor = zstandard.ZstdDecompressor(max_window_size=_UNSIZED_WINDOW_BYTES)
    try:
        data: bytes = decompressor.decompress(frame, max_output_size=limit)
    except zstandard.ZstdError as error:
        raise PayloadDecompressionError(
            f"the zstd frame of a compressed payload ({len(frame):,} bytes) has no content size, "
            f"and is broken or unpacks to more than {limit:,} bytes: {error}"
        ) from error
    return data


def _read_envelope(envelope: bytes) -> _Envelope:
    """Parse an envelope; unknown entries are skipped, not built."""
    msgpack = _load("msgpack")
    # Build scalars only: small input could otherwise create containers many times its size.
    entries = msgpack.Unpacker(
        max_buffer_size=max(1, len(envelope)), max_array_len=0, max_map_len=0, max_ext_len=0
    )
    algorithm: Any = None
    level: Any = None
    frame: Any = None
    try:
        entries.feed(envelope)
        for _ in range(entries.read_map_header()):
            name = entries.unpack()
            if name == "payload":
                frame = entries.unpack()
            elif name == "compression":
                for _ in range(entries.read_map_header()):
                    member = entries.unpack()
                    if member == "algorithm":
                        algorithm = entries.unpack()
                    elif member == "level":
                        level = entries.unpack()
                    else:
                        entries.skip()
            else:
                entries.skip()
    except (ValueError, msgpack.UnpackException) as error:
        raise _envelope_error(envelope, "the msgpack map of a compressed payload") from error
    if entries.tell() != len(envelope):
        raise _envelope_error(envelope, "one msgpack map: more bytes follow it")
    if algorithm != "zstd":
        raise _envelope_error(envelope, "compressed with zstd, the only supported algorithm")
    if level is not None and (not isinstance(level, int) or level not in _LEVELS):
        raise _envelope_error(envelope, "compressed at one of the levels 1 to 22")
    if not isinstance(frame, bytes):
        raise _envelope_error(envelope, "an envelope with bytes as its payload")
    return _Envelope(frame, level)


def _envelope_error(envelope: bytes, expected: str) -> PayloadDecompressionError:
    return PayloadDecompressionError(
        f"{len(envelope):,} bytes are marked as compressed, but are not {expected}"
    )


def _load(name: str) -> ModuleType:
    try:
        return import_module(name)
    except ImportError as error:
        raise MissingExtraError("payload compression", "compression") from error
