"""Many event loops in one process, and calls made while the interpreter exits."""

from __future__ import annotations

import subprocess
import sys

from tests.api.keep_alive import KeepAlivePlatform

DESCRIPTORS = """
import asyncio, gc, sys, warnings
import psutil
from mistral_offload import Mistral

warnings.simplefilter("ignore", ResourceWarning)
client = Mistral("key", server_url=sys.argv[1])
call = client.workflows.get_workflow_registrations_async
process = psutil.Process()


def run_and_leave() -> None:
    # Without the shutdown of asynchronous generators, by which a loop closes its connections.
    loop = asyncio.new_event_loop()
    loop.run_until_complete(call())
    loop.close()


def descriptors(run, times: int) -> int:
    for _ in range(times):
        run()
    gc.collect()
    return process.num_fds()


asyncio.run(call())
run_and_leave()
print(descriptors(lambda: asyncio.run(call()), 3) == descriptors(lambda: asyncio.run(call()), 30))
print(descriptors(run_and_leave, 3) == descriptors(run_and_leave, 30))
"""

EXIT = """
import asyncio, sys, tempfile, threading, time
from mistral_offload import Mistral
from mistral_offload.errors import APIConnectionError
from mistral_offload.storage import LocalStore

client = Mistral("key", server_url=sys.argv[1], timeout_ms=5000)
by_name = Mistral("key", server_url=sys.argv[1].replace("127.0.0.1", "localhost"))
store = LocalStore(tempfile.mkdtemp())


async def use_store() -> None:
    puts = [store.put_async(f"k/{n}", b"x") for n in range(40)]
    print("put", await asyncio.gather(*puts) == [True] * 40)
    print("get", await store.get_async("k/1"))
    print("list", len([blob async for blob in store.list_async("k/")]))
    print("delete", await store.delete_many_async([f"k/{n}" for n in range(40)]))
    print("closed", await store.close_async(), store.closed)


async def use_client() -> None:
    print("client", (await client.workflows.get_workflow_registrations_async()).next_cursor == "")
    await client.close_async()


async def use_by_name() -> None:
    try:
        await by_name.workflows.get_workflow_registrations_async(retries=None)
    except APIConnectionError as error:
        print("by name", "exiting" in str(error))


def last() -> None:
    threading.main_thread().join()
    print("blocking", store.put("a", b"x"))
    for use in (use_store, use_client, use_by_name):
        # Not asyncio.run: from Python 3.12 on, it then starts a thread to end its executor, which
        # fails.
        asyncio.new_event_loop().run_until_complete(use())


threading.Thread(target=last).start()
"""


def ran(code: str, platform: KeepAlivePlatform) -> list[str]:
    """Return the lines that a child process prints."""
    child = subprocess.run(
        [sys.executable, "-c", code, platform.url], capture_output=True, text=True, timeout=50
    )
    assert not child.stderr, child.stderr
    return child.stdout.splitlines()


def test_many_event_loops_leave_no_connection_open() -> None:
    with KeepAlivePlatform() as platform:
        assert ran(DESCRIPTORS, platform) == ["True", "True"]


def test_calls_while_the_interpreter_exits_are_done_in_place_or_refused() -> None:
    with KeepAlivePlatform() as platform:
        assert ran(EXIT, platform) == [
            "blocking True",
            "put True",
            "get b'x'",
            "list 40",
            "delete {}",
            "closed None True",
            "client True",
            "by name True",
        ]
