"""The exit of the interpreter, and threads that Python did not start."""

from __future__ import annotations

import atexit
import subprocess
import sys
from typing import Any

import pytest
from temporalio.client import ClientConfig
from temporalio.converter import StorageDriverStoreContext
from temporalio.worker import ReplayerConfig

from mistral_offload import _native_threads
from mistral_offload._native_threads import (
    wait_for_native_threads,
    wait_for_native_threads_at_exit,
)
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import BlobStorageDriver, OffloadPlugin, data_converter

PROGRAM = """
import _thread, threading, time
from mistral_offload import _native_threads

pauses = []
def pause(seconds):
    pauses.append(seconds)
    sleep(seconds)
sleep, time.sleep = time.sleep, pause

threading.__file__ = "threading.pyc"  # as where only compiled modules are installed
threading.Thread(target=threading.Event().wait, daemon=True).start()
_native_threads.wait_for_native_threads()
print(len(pauses))

def run():  # as the code of temporalio's threads does, it begins without a Thread
    entered.release()
    leave.acquire()
    sleep(0.3)
    print("left", flush=True)

entered, leave = _thread.allocate_lock(), _thread.allocate_lock()
entered.acquire(), leave.acquire()
_thread.start_new_thread(run, ())
entered.acquire()
_native_threads._PAUSE_SECONDS, kept = 0.0, _native_threads._PAUSE_SECONDS
_native_threads.wait_for_native_threads()
print(len(pauses))
_native_threads._PAUSE_SECONDS = kept
leave.release()
_native_threads.wait_for_native_threads_at_exit()
"""


def test_at_exit() -> None:
    """Threads that Python did not start are waited for, for a limited time."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, "")
    fewest, most = _native_threads._FEWEST_PAUSES, _native_threads._MOST_PAUSES
    # Python itself would not wait for the thread, which then prints nothing.
    assert ended.stdout.split() == [str(fewest), str(fewest + most), "left"]


async def test_everything_that_uses_temporal_registers_the_wait(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    registered: list[Any] = []

    async def registers() -> bool:
        done = registered == [wait_for_native_threads]
        registered.clear()
        wait_for_native_threads_at_exit.cache_clear()
        return done

    monkeypatch.setattr(atexit, "register", registered.append)
    wait_for_native_threads_at_exit.cache_clear()
    plugin = OffloadPlugin(encoder=PayloadEncoder())
    driver = BlobStorageDriver(store=MemoryStore())
    assert not await registers()
    data_converter()
    assert await registers()
    plugin.configure_client(ClientConfig(namespace="n", interceptors=[]))  # type: ignore[typeddict-item]
    assert await registers()
    plugin.configure_replayer(ReplayerConfig(workflows=[]))
    assert await registers()
    await driver.store(StorageDriverStoreContext(target=None), [])
    assert await registers()
    await driver.retrieve(None, [])  # type: ignore[arg-type]
    assert await registers()
    monkeypatch.undo()
    wait_for_native_threads_at_exit()
