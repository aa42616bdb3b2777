"""The sizes of a file's chunks, and the limits that follow from them."""

from __future__ import annotations

from mistral_offload.errors import FileTooLargeError
from mistral_offload.limits import MIB

CHUNK_BYTES = 8 * MIB
"""Size of a chunk, unless the file is so large that it would have too many."""

MAX_CHUNK_BYTES = 32 * MIB
MAX_CHUNKS = 65_536
"""Bound of a manifest's length."""

TRANSFER_BYTES = 40 * MIB
"""Bound of the chunks that one transfer holds in memory; copies that are sent count twice."""

LARGEST_FILE_BYTES = MAX_CHUNKS * MAX_CHUNK_BYTES


def count_chunks(size: int, chunk_bytes: int) -> int:
    """Return the number of chunks of a file; an empty one has one."""
    return max(1, -(-size // chunk_bytes))


def choose_chunk_bytes(size: int | None, name: str) -> int:
    """Return the chunk size for a file of a size in bytes; None if it is not known beforehand.

    Raises:
        FileTooLargeError: the file is over 2 TiB.
    """
    chunk_bytes = CHUNK_BYTES
    while size is not None and count_chunks(size, chunk_bytes) > MAX_CHUNKS:
        chunk_bytes *= 2
        if chunk_bytes > MAX_CHUNK_BYTES:
            raise FileTooLargeError(
                f"file {name!r} has {size:,} bytes, and at most {LARGEST_FILE_BYTES:,} bytes can "
                "be stored as one file: split it",
                size=size,
                limit=LARGEST_FILE_BYTES,
            )
    return chunk_bytes


def concurrent_chunks(chunk_bytes: int, connections: int, *, copies: int = 1) -> int:
    """Return how many chunks to transfer at a time: fewer as they grow.

    Args:
        chunk_bytes: size of one.
        connections: connections of the store.
        copies: how often each is in memory while it is transferred.
    """
    return max(1, min(connections, TRANSFER_BYTES // (chunk_bytes * copies)))
