"""What the store of tests counts."""

from __future__ import annotations

import pytest

from mistral_offload.errors import BlobNotFoundError
from mistral_offload.storage import MemoryStore


def test_requests_are_counted() -> None:
    store = MemoryStore(prefix="data")
    store.put("k", b"1")
    store.put("k", b"2")
    store.get("k")
    store.stat("k")
    list(store.list())
    store.delete("k")
    with pytest.raises(BlobNotFoundError):
        store.get("k")
    assert store.requests == {
        ("put", "data/k"): 2,
        ("get", "data/k"): 2,
        ("stat", "data/k"): 1,
        ("list", "data/"): 1,
        ("delete", "data/k"): 1,
    }
    store.requests.clear()
    assert not store.requests


def test_what_is_kept_is_not_what_the_caller_goes_on_changing() -> None:
    store = MemoryStore()
    data = bytearray(b"before")
    store.put("k", data)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
    data[:] = b"after!"
    assert store.get("k") == b"before"
