"""``OffloadableFile`` as a value: in models, in place, and several times in one value."""

from __future__ import annotations

import asyncio
import copy
import pickle
import threading
import time
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from mistral_offload import OffloadableFile
from mistral_offload.errors import FileError, PayloadSerializationError
from mistral_offload.files.file_store import FileStore
from mistral_offload.files.reference import root_of_run
from mistral_offload.files.transfers import bind_files, store_files, store_files_async
from mistral_offload.payload.field_blob import NO_CIPHER
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.storage import MemoryStore
from mistral_offload.storage.lazy_cache import LazyCache
from tests.bounds import PATIENCE_SECONDS

ROOT = root_of_run("acme", "run-1")


class Talk(BaseModel):
    audio: OffloadableFile
    notes: list[OffloadableFile] = []
    cover: OffloadableFile | None = None
    more: dict[str, OffloadableFile | str] = {}


def files_of(store: MemoryStore) -> FileStore:
    return FileStore(LazyCache(None, store), NO_CIPHER)


async def test_a_file_that_is_in_a_value_twice_is_stored_once(tmp_path: Path) -> None:
    store = MemoryStore()
    with (tmp_path / "talk.wav").open("w+b") as opened:
        opened.write(b"a talk")
        opened.seek(0)
        audio = OffloadableFile.from_file(opened)
        talk = Talk(audio=audio, notes=[audio, audio], cover=audio, more={"a": audio, "b": "text"})
        stored = await store_files_async(talk, files_of(store), ROOT)
    assert [stat.size for stat in store.list()] == [6]
    again = bind_files(Talk.model_validate_json(dump_json(stored)), files_of(store))
    found = [again.audio, *again.notes, again.cover, again.more["a"]]
    assert {file.blob_ref for file in found} == {stored.audio.blob_ref}
    assert {file.open().read() for file in found} == {b"a talk"}
    assert again.more["b"] == "text"
    assert store_files(stored, files_of(store), ROOT) is stored  # it is there


class Crowd(MemoryStore):
    """Lets puts pass in groups, so that only several at a time get anywhere."""

    def __init__(self) -> None:
        super().__init__()
        self.at_once = self.most = 0
        self._barrier = threading.Barrier(4, timeout=PATIENCE_SECONDS)
        self._counting = threading.Lock()

    def _begin_request(self, operation: Any, key: str) -> None:
        super()._begin_request(operation, key)
        if operation != "put":
            return
        with self._counting:
            self.at_once += 1
            self.most = max(self.most, self.at_once)
        self._barrier.wait()
        with self._counting:
            self.at_once -= 1


@pytest.mark.parametrize("is_sync", [False, True])
async def test_many_small_files_are_stored_several_at_a_time(is_sync: bool) -> None:
    store = Crowd()
    contents = [number.to_bytes(2, "big") * 1000 for number in range(200)]
    made = [OffloadableFile.from_bytes(each, name=f"{n}.txt") for n, each in enumerate(contents)]
    given = Talk(audio=made[0], notes=made)
    if is_sync:
        stored = await asyncio.to_thread(store_files, given, files_of(store), ROOT)
    else:
        stored = await store_files_async(given, files_of(store), ROOT)
    assert sum(store.requests.values()) == 200, "one request a file"
    assert 4 <= store.most <= 16
    again = bind_files(Talk.model_validate_json(dump_json(stored)), files_of(store))
    assert [file.name for file in again.notes] == [f"{number}.txt" for number in range(200)]
    assert [file.open().read() for file in again.notes] == contents


def test_the_cost_of_files_grows_with_their_number() -> None:
    def cpu_seconds(count: int) -> float:
        files = files_of(MemoryStore())
        made = [OffloadableFile.from_bytes(b"%d" % n, name="x") for n in range(count)]
        began = time.process_time()
        stored = store_files(Talk(audio=made[0], notes=made), files, ROOT)
        bind_files(Talk.model_validate_json(dump_json(stored)), files)
        return time.process_time() - began

    cpu_seconds(10)
    few, many = (min(cpu_seconds(count) for _ in range(3)) for count in (50, 400))
    assert many < 24 * few, "8 times as many files; in the square it would be 64 times"


@pytest.mark.parametrize("content", [b"some text", b"\xff\xfe", b""])
async def test_content_in_place_is_read_and_passed_on(content: bytes, tmp_path: Path) -> None:
    given = OffloadableFile.from_bytes(content, name="a.txt")
    for file in (given, Talk.model_validate_json(dump_json(Talk(audio=given))).audio):
        assert (file.name, file.size_bytes, file.content_type) == (
            "a.txt",
            len(content),
            "text/plain",
        )
        assert file.open().read() == content
        assert file.open(offset=1, length=3).read() == content[1:4]
        async with await file.open_async() as reader:
            assert await reader.read() == content
        assert file.download_to(tmp_path).read_bytes() == content
        assert (await file.download_to_async(tmp_path / "b")).read_bytes() == content


def test_values_of_the_official_sdk() -> None:
    talk = Talk.model_validate({"audio": {"value": "some text", "blob_ref": None}})
    assert talk.audio.open().read() == b"some text"
    with pytest.raises(ValueError, match="may only name a file"):
        Talk.model_validate({"audio": {"value": None, "blob_ref": "temporal-payload/a"}})


def test_what_is_not_stored(tmp_path: Path) -> None:
    (tmp_path / "talk.wav").write_bytes(b"a talk")
    file = OffloadableFile.from_path(tmp_path / "talk.wav")
    with pytest.raises(FileError, match="not stored yet"):
        file.open()
    with pytest.raises(PayloadSerializationError, match=r"talk\.wav.*is not stored"):
        dump_json(Talk(audio=file))
    with pytest.raises(TypeError, match="not stored yet"):
        pickle.dumps(file)


def test_copies() -> None:
    store = MemoryStore()
    given = Talk(audio=OffloadableFile.from_bytes(b"x", name="x"))
    file = store_files(given, files_of(store), ROOT).audio
    assert pickle.loads(pickle.dumps(file)) == copy.deepcopy(file) == copy.copy(file) == file
    assert repr(file) == "OffloadableFile('x', 1 bytes)"
    with pytest.raises(FileError, match="no access to a store"):
        pickle.loads(pickle.dumps(file)).open()
