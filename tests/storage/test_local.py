"""Local directory specifics: names, permissions, links, partial files."""

from __future__ import annotations

import errno
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mistral_offload.errors import (
    BlobNotFoundError,
    StorageAccessDeniedError,
    StorageConfigError,
    StorageUnavailableError,
)
from mistral_offload.storage import LocalStore, local
from mistral_offload.storage._local_names import folders_of, key_of, names_of
from tests.bounds import PATIENCE_SECONDS, Threads

KEYS = st.text(st.one_of(st.sampled_from("/.=%aA:~ "), st.characters(codec="utf-8")), min_size=1)
AWKWARD_KEYS = ["/", "a//b", "a/", "/a", "../../etc/passwd", "a/../b", ".", "con", "COM1/x", "\0\n"]


@given(KEYS)
def test_names_lead_back_to_the_key(key: str) -> None:
    names = names_of(key)
    assert key_of(names) == key
    for name in names:
        assert 0 < len(name) <= 130
        assert set(name) <= set("abcdefghijklmnopqrstuvwxyz0123456789_-%=")


@given(KEYS, KEYS)
def test_a_blob_is_in_the_folders_of_every_prefix(start: str, rest: str) -> None:
    folders = folders_of(start)
    assert names_of(start + rest)[: len(folders)] == folders


@pytest.mark.parametrize(
    "names",
    [["a"], ["A=blob"], ["%4A=blob"], ["%61=blob"], ["con", "a=blob"], ["%ff=blob"], ["=blob="]],
)
def test_names_of_others_are_no_keys(names: list[str]) -> None:
    assert key_of(names) is None


def test_awkward_keys(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "blobs")
    keys = [*AWKWARD_KEYS, "x" * 1000, "é" * 400, "a", "a/b", "a/b/c", "A"]
    for key in keys:
        assert store.put(key, key.encode()) is True
    for key in keys:
        assert store.get(key) == key.encode()
    assert sorted(blob.key for blob in store.list()) == sorted(keys)
    for start in ("a", "a/", "/", "é", "x" * 999, "x" * 130):
        found = {blob.key for blob in store.list(start)}
        assert found == {key for key in keys if key.startswith(start)}
    assert [path.name for path in tmp_path.iterdir()] == ["blobs"]
    for key in keys:
        store.delete(key)
    assert list((tmp_path / "blobs").iterdir()) == [], "empty folders are left behind"


def test_only_the_owner_may_read(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "new" / "blobs")
    old = os.umask(0)
    try:
        store.put("a/b", b"data")
    finally:
        os.umask(old)
    made = [tmp_path / "new", *(tmp_path / "new").rglob("*")]
    modes = {stat.S_IMODE(path.stat().st_mode) for path in made if path.is_dir()}
    assert modes == {0o700}
    assert [stat.S_IMODE(path.stat().st_mode) for path in made if path.is_file()] == [0o600]


def test_a_directory_that_is_not_there_yet_is_empty(tmp_path: Path) -> None:
    store = LocalStore(tmp_path / "later")
    assert list(store.list()) == []
    with pytest.raises(BlobNotFoundError):
        store.get("k")
    store.delete("k")
    assert not (tmp_path / "later").exists()


def test_files_of_others_are_not_listed(tmp_path: Path) -> None:
    store = LocalStore(tmp_path)
    store.put("a/b", b"data")
    (tmp_path / "README.txt").write_text("hello")
    (tmp_path / "a" / ".0123456789abcdef.tmp").write_text("half")
    (tmp_path / "link=blob").symlink_to(tmp_path / "README.txt")
    assert [blob.key for blob in store.list()] == ["a/b"]


@pytest.mark.parametrize("overwrite", [False, True])
def test_nothing_half_written_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    def full(file: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    store = LocalStore(tmp_path)
    if overwrite:
        store.put("k", b"old")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageUnavailableError, match="No space left") as caught:
        store.put("k", b"new", overwrite=overwrite)
    assert caught.value.key == "k"
    assert [path.read_bytes() for path in tmp_path.iterdir()] == ([b"old"] if overwrite else [])


def test_a_link_does_not_lead_out(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "b=blob").write_text("secret")
    root = tmp_path / "root"
    root.mkdir()
    (root / "a").symlink_to(outside)
    (root / "c=blob").symlink_to(outside / "b=blob")
    store = LocalStore(root)

    def put(key: str) -> bool:
        return store.put(key, b"")

    uses: list[Callable[[str], object]] = [store.get, store.stat, store.delete, put]
    for key in ("a/b", "c"):
        for use in uses:
            with pytest.raises(StorageAccessDeniedError, match="symbolic link"):
                use(key)
    assert list(store.list()) == []
    assert (outside / "b=blob").read_text() == "secret"


def test_the_directory_itself_may_be_a_link(tmp_path: Path) -> None:
    (tmp_path / "real").mkdir()
    (tmp_path / "root").symlink_to(tmp_path / "real")
    store = LocalStore(tmp_path / "root")
    store.put("a/b", b"data")
    assert store.get("a/b") == b"data"


def test_a_directory_that_cannot_be_made(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    for directory in (tmp_path / "file", tmp_path / "file" / "below", Path("/proc/nowhere/blobs")):
        with pytest.raises(StorageConfigError, match="cannot be used") as caught:
            LocalStore(directory).put("k", b"data")
        assert str(directory) in str(caught.value)


def test_a_directory_that_may_not_be_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def denied(*_: object) -> int:  # tests may run as root, which ignores permissions
        raise PermissionError(errno.EACCES, "Permission denied")

    store = LocalStore(tmp_path)
    monkeypatch.setattr(os, "open", denied)
    with pytest.raises(StorageAccessDeniedError, match="Permission denied") as caught:
        store.put("k", b"data")
    assert caught.value.container == str(tmp_path)


def test_without_hard_links(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def unsupported(*_: object) -> None:
        raise OSError(errno.EPERM, "Operation not permitted")

    monkeypatch.setattr(os, "link", unsupported)
    store = LocalStore(tmp_path)
    assert store.put("k", b"first") is True
    assert store.put("k", b"second") is False
    assert store.get("k") == b"first"
    assert len(list(tmp_path.iterdir())) == 1


def test_puts_and_deletes_of_one_folder_do_not_trip_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(local, "_ATTEMPTS", 1000)  # here the folder itself may appear and disappear
    store = LocalStore(tmp_path)
    start = threading.Barrier(4, timeout=PATIENCE_SECONDS)

    def come_and_go(number: int) -> None:
        start.wait()
        for _ in range(50):
            store.put(f"a/b/c/{number}", b"data")
            store.delete(f"a/b/c/{number}")

    with Threads() as threads:
        threads.map(come_and_go, range(4))
    assert list(tmp_path.iterdir()) == []


def test_the_home_directory_can_be_meant(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert LocalStore("~/blobs").container == str(tmp_path / "blobs")


def things_in_the_way(folder: Path) -> dict[str, Path]:
    """Put things that are no files under the names of blobs; return them by key."""
    folder.mkdir(exist_ok=True)
    names = {key: folder / f"{key}=blob" for key in ("fifo", "folder", "socket")}
    os.mkfifo(names["fifo"])
    names["folder"].mkdir()
    os.mknod(names["socket"], stat.S_IFSOCK | 0o600)
    return names


@pytest.mark.skipif(os.name == "nt", reason="no FIFOs")
@pytest.mark.timeout(30)  # reading a FIFO would wait for a writer
def test_only_regular_files_are_blobs(tmp_path: Path) -> None:
    names = things_in_the_way(tmp_path / "blobs")
    store = LocalStore(tmp_path / "blobs")

    def replace(key: str) -> bool:
        return store.put(key, b"new", overwrite=True)

    def put(key: str) -> bool:
        return store.put(key, b"new")

    def renew(key: str) -> bool:
        return store.renew(key)

    for key, path in names.items():
        for use in (store.get, store.stat, store.delete, put, replace, renew):
            with pytest.raises(StorageAccessDeniedError, match="regular file") as caught:
                use(key)
            assert caught.value.key == key
        assert path.exists()
    assert list(store.list()) == []


def disown(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Make a folder belong to another user than this process's."""
    if os.getuid() == 0:  # only root may give a folder away
        os.chown(folder, 12345, -1)
    else:
        monkeypatch.setattr(os, "geteuid", lambda: 12345)


@pytest.mark.skipif(os.name == "nt", reason="no modes")
def test_a_directory_of_others_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("own", "open", "foreign"):
        (tmp_path / name).mkdir(mode=0o700)
    (tmp_path / "open").chmod(0o777)
    for name in ("own", "open", "foreign", "new"):
        if name == "foreign":
            disown(tmp_path / name, monkeypatch)
        store = LocalStore(tmp_path / name)
        for _ in range(2):
            store.put("k", b"data")
            assert store.get("k") == b"data"
        monkeypatch.undo()
    of_open, of_foreign = [record.getMessage() for record in caplog.records]
    assert f"{tmp_path / 'open'} can be written by every user" in of_open
    assert f"{tmp_path / 'foreign'} belongs to another user" in of_foreign
