"""The log of transfers: one line for each operation, with nothing of a payload."""

from __future__ import annotations

import logging
import re

import pytest

from mistral_offload.errors import BlobNotFoundError, StorageUnavailableError
from mistral_offload.storage import MemoryStore
from tests.storage.clock import Clock

LOGGER = "mistral_offload.storage.transfers"
SECRET = b"do not tell"
KEY = f"temporal-payload/n/{'e' * 40}/sha256:{'0123456789abcdef' * 4}"


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    """Return the lines, with the seconds as a letter, and forget them."""
    records = [each for each in caplog.records if each.name == LOGGER]
    assert all(each.levelno == logging.DEBUG for each in records)
    texts = [re.sub(r"\d+\.\d{3} s", "S", each.getMessage()) for each in records]
    caplog.clear()
    return texts


def test_one_line_for_each_operation(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)
    store = clock.drive(MemoryStore(retry_seconds=60))
    end = "memory memory …89abcdef0123456789abcdef"
    store.put(KEY, SECRET)
    store.put(KEY, SECRET)
    store.get(KEY)
    assert lines(caplog) == [
        f"put {end}: 11 bytes, S, attempts: 1",
        f"put {end}: already stored, S, attempts: 1",
        f"get {end}: 11 bytes, S, attempts: 1",
    ]
    store.stat(KEY)
    assert len(list(store.list())) == 1
    store.delete(KEY)
    assert lines(caplog) == [
        f"stat {end}: S, attempts: 1",
        "list memory memory: S, attempts: 1",
        f"delete {end}: S, attempts: 1",
    ]
    store.fail("put", call=1)
    store.fail("put", call=2)
    store.put(KEY, SECRET)
    store.fail("get")
    with pytest.raises(StorageUnavailableError):
        store.get(KEY)
    with pytest.raises(BlobNotFoundError):
        MemoryStore().get("k")
    put, got, missed = lines(caplog)
    assert put == f"put {end}: 11 bytes, S, attempts: 3"
    assert re.fullmatch(rf"get {end}: failed with StorageUnavailableError, S, attempts: \d\d+", got)
    assert missed == "get memory memory …k: failed with BlobNotFoundError, S, attempts: 1"


async def test_async_operations_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, LOGGER)
    with MemoryStore() as store:
        await store.put_async("k", SECRET)
        assert await store.get_async("k") == SECRET
    assert [line.partition(" ")[0] for line in lines(caplog)] == ["put", "get"]


def test_nothing_is_formatted_when_it_is_off(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.INFO, LOGGER)

    def used(*_: object) -> None:
        raise AssertionError("the log was written")

    monkeypatch.setattr("mistral_offload.storage.transfers._Transfer", used)
    monkeypatch.setattr("mistral_offload.storage.store._describe", used)
    store = MemoryStore()
    store.put("k", SECRET)
    assert store.get("k") == SECRET
    assert lines(caplog) == []
