"""Ctrl-C: commands end, whatever they wait for, without a traceback."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator, Mapping

import pytest

from mistral_offload.cli.event_loop import run_async
from tests.bounds import PATIENCE_SECONDS, kill, output_of, read_line, start

from .command import command_line

STORAGE = "TEMPORAL_PAYLOAD_OFFLOADING__STORAGE_CONFIG"

STUCK_AT_EXIT = """
import os, signal, sys, threading
import mistral_offload.cli.app as commands
from mistral_offload.cli import main

def wait():
    # As a command whose store holds a thread, which the interpreter joins at its end.
    threading.Thread(target=threading.Event().wait, args=(300,)).start()
    print("waiting", flush=True)
    {waiting}

commands.app.command()(wait)
sys.argv[1:] = ["wait"]
main()
"""
EARLY = """
import os, signal, sys

class Interrupting:
    def find_spec(self, name, path=None, target=None):
        if name == {module!r}:
            signal.raise_signal(signal.SIGINT)

sys.meta_path.insert(0, Interrupting())
from mistral_offload.cli import main
sys.argv[1:] = ["blobs", "ls"]
main()
"""


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A server that accepts connections and sends nothing."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(PATIENCE_SECONDS)
        yield listener


@pytest.fixture(autouse=True)
def _signals_reach_children() -> Iterator[None]:
    """Children of a process that ignores SIGINT, as background jobs of a shell do, ignore it."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


def environment(silent: str) -> Mapping[str, str]:
    return {
        **os.environ,
        f"{STORAGE}__BUCKET_NAME": "payloads",
        f"{STORAGE}__REGION_NAME": "eu-west-3",
        f"{STORAGE}__ENDPOINT_URL": silent,
        "AWS_ACCESS_KEY_ID": "A" * 20,
        "AWS_SECRET_ACCESS_KEY": "b" * 40,
        "SERVER_URL": silent,
        "MISTRAL_API_KEY": "local",
    }


def interrupt(process: subprocess.Popen[str]) -> tuple[int, str]:
    """Send SIGINT; return exit code and stderr, bounded by half of a store's read timeout."""
    process.send_signal(signal.SIGINT)
    _, err = output_of(process)
    return process.returncode, err


@pytest.mark.parametrize(
    "arguments",
    [["blobs", "ls"], ["doctor", "--timeout", "200"], ["inspect", "w", "--wait", "200"]],
)
def test_commands_that_wait_for_a_silent_server(
    silent: socket.socket, arguments: list[str]
) -> None:
    process = start(
        command_line(*arguments),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment(f"http://127.0.0.1:{silent.getsockname()[1]}"),
    )
    try:
        connection, _ = silent.accept()
        with connection:
            code, err = interrupt(process)
    finally:
        kill(process)
    assert code == 130
    assert "Traceback" not in err


@pytest.mark.parametrize(
    "waiting",
    [
        "import asyncio; asyncio.run(asyncio.sleep(300))",
        "import asyncio; asyncio.run(asyncio.to_thread(threading.Event().wait, 300))",
        "threading.Event().wait(300)",
    ],
)
def test_threads_that_never_end_do_not_hold_a_command(waiting: str) -> None:
    program = STUCK_AT_EXIT.format(waiting=waiting)
    process = start(
        [*command_line()[:1], "-c", program],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert read_line(process) == "waiting\n"
        code, err = interrupt(process)
    finally:
        kill(process)
    assert code == 130
    assert "Traceback" not in err


def test_during_the_start() -> None:
    modules = [
        "mistral_offload.cli.interrupts",
        "mistral_offload.cli.app",
        "typer",
        "mistral_offload.environment.settings",
    ]
    processes = [
        start(
            [*command_line()[:1], "-c", EARLY.format(module=module)],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for module in modules
    ]
    try:
        for process in processes:
            _, err = output_of(process)
            assert process.returncode == 130
            assert "Traceback" not in err
    finally:
        for process in processes:
            kill(process)


def test_a_command_in_the_background_of_a_script_ignores_interrupts() -> None:
    async def interrupted() -> str:
        signal.raise_signal(signal.SIGINT)
        await asyncio.sleep(0.01)
        return "done"

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # as shells do; set back by the fixture
    assert run_async(interrupted()) == "done"
    assert signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        run_async(interrupted())


def test_an_end_within_a_time_names_the_threads_it_leaves() -> None:
    program = (
        "import threading\n"
        "from mistral_offload.cli.interrupts import end_within\n"
        "wait = threading.Event().wait\n"
        "threading.Thread(target=wait, args=(300,), name='held by a store').start()\n"
        "end_within(0.1)\n"
        "print('done')"
    )
    ended = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=50, check=False
    )
    assert (ended.returncode, ended.stdout) == (0, "done\n")
    assert "ended without waiting for threads: held by a store\n" in ended.stderr
