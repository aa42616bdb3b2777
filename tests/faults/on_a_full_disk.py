"""Runs stores on a full directory in a separate process, and prints each outcome as JSON.

``python -m tests.faults.on_a_full_disk limit DIRECTORY`` limits the size of files, so that larger
writes fail (EFBIG). ``… tmpfs DIRECTORY`` mounts a small file system there and fills it (ENOSPC),
which needs its own mount namespace: ``unshare --user --map-root-user --mount``.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
import resource
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

from mistral_offload.errors import MistralOffloadError
from mistral_offload.storage import LocalStore, MemoryStore
from mistral_offload.storage.cache import BlobCache
from mistral_offload.storage.cache_directory import CacheDirectory

ROOM_BYTES = 1_000_000
BLOB = os.urandom(2 * ROOM_BYTES)
DIGEST = hashlib.sha256(BLOB).hexdigest()


def main(way: str, directory: Path) -> None:
    logging.basicConfig(stream=sys.stderr, format="%(message)s")
    if way == "tmpfs":
        options = f"size={ROOM_BYTES}"
        subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", directory], check=True)
    else:
        _, most = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (ROOM_BYTES, most))
    print(json.dumps({"store": use_store(directory), "cache": use_cache(directory)}))


def use_store(directory: Path) -> dict[str, object]:
    store = LocalStore(directory / "blobs")
    small = b"fits"
    store.put("small", small)
    told = outcome_of(lambda: store.put("some/large", BLOB))
    told |= {"kept": store.get("small") == small, "left": files_below(directory / "blobs")}
    return told | {"again": store.put("some/large", small)}


def use_cache(directory: Path) -> dict[str, object]:
    cached = BlobCache(MemoryStore(), memory_bytes=0, directory=CacheDirectory(directory / "cache"))
    told = outcome_of(lambda: cached.put("large", BLOB, DIGEST))
    told["same"] = cached.get("large", DIGEST) == cached.get("large", DIGEST) == BLOB
    return told | {"left": files_below(directory / "cache")}


def outcome_of(use: Callable[[], object]) -> dict[str, object]:
    began = time.monotonic()
    try:
        use()
    except MistralOffloadError as error:
        result, said = type(error).__name__, str(error)
    else:
        result, said = "", ""
    return {"error": result, "said": said, "seconds": time.monotonic() - began}


def files_below(directory: Path) -> list[str]:
    return [file.name for file in directory.rglob("*") if file.is_file()]


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
