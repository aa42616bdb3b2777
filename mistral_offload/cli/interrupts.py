"""Ctrl-C: ends a command within two seconds, whatever it waits for.

A signal only interrupts the main thread, and only when that runs Python code. A command may wait
elsewhere: in a store's thread that a silent server holds, or in the look-up of a name. So a thread
of its own ends the process if the command has not ended by itself after a grace period.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Generator
from contextlib import contextmanager, suppress

INTERRUPTED = 130
"""Exit code of an interrupted command: 128 and the number of SIGINT, as of shells."""

_GRACE_SECONDS = 1.0
_NOTICE_SECONDS = 1.0
_SIGNALS = {signal.SIGINT, signal.SIGTERM}

_ends_by_itself = threading.Event()


@contextmanager
def ended_by_interrupts() -> Generator[None]:
    """Let SIGINT end the process soon, with exit code 130, while the block runs."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    _ends_by_itself.clear()
    receiver, sender = os.pipe()
    os.set_blocking(sender, False)
    previous = signal.set_wakeup_fd(sender, warn_on_full_buffer=False)
    interrupted = threading.Event()
    threading.Thread(target=_watch, args=(receiver, interrupted), daemon=True).start()
    code: object = INTERRUPTED
    report = sys.unraisablehook

    def report_unless_interrupted(unraisable: sys.UnraisableHookArgs) -> None:
        # An event loop that was interrupted while it was made fails again in its finalizer. The
        # thread that receives the signal may not have run yet.
        if not interrupted.wait(_NOTICE_SECONDS):
            report(unraisable)

    sys.unraisablehook = report_unless_interrupted
    try:
        yield
        code = 0
    except KeyboardInterrupt:  # raised before the command could handle it
        interrupted.set()
    except SystemExit as ended:
        # As above, the other thread may not have run yet.
        seconds = _NOTICE_SECONDS if ended.code == INTERRUPTED else 0.0
        if not interrupted.wait(seconds):
            raise
        code = ended.code
    finally:
        if interrupted.is_set():
            _end(code if _ends_by_itself.is_set() else INTERRUPTED)
        sys.unraisablehook = report
        signal.set_wakeup_fd(previous)
        os.close(sender)


def end_by_itself() -> None:
    """Leave a command that handles SIGINT itself the time that it takes, and its exit code."""
    _ends_by_itself.set()


def end_within(seconds: float) -> None:
    """End the process with exit code 0 after some time, if it has not ended by itself.

    At its end Python waits for threads, such as one in which a server holds a request.
    """

    def end() -> None:
        running = [
            thread.name
            for thread in threading.enumerate()
            if thread.is_alive() and not thread.daemon and thread is not threading.main_thread()
        ]
        text = f"mistral-offload: ended without waiting for threads: {', '.join(running)}\n"
        os.write(2, text.encode())
        _end(0)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def _watch(receiver: int, interrupted: threading.Event) -> None:
    while received := os.read(receiver, 64):
        if not _SIGNALS.isdisjoint(received):
            interrupted.set()
            if not _ends_by_itself.wait(_GRACE_SECONDS):
                os.write(2, b"Aborted.\n")
                os._exit(INTERRUPTED)
    os.close(receiver)


def _end(code: object) -> None:
    """End the process without waiting for the threads of stores, as a normal exit would."""
    for stream in (sys.stdout, sys.stderr):
        with suppress(OSError, ValueError):
            stream.flush()
    os._exit(code if isinstance(code, int) else int(code is not None))
