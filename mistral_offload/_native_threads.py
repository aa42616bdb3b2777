"""The end of the interpreter, and the threads of temporalio's core.

A thread of the core takes the interpreter's lock to hand a result over. If the interpreter ends
before the thread has given the lock back, Python ends that thread in the middle, and the process
crashes, or waits for the thread for ever (temporalio/sdk-python issue 300).
"""

from __future__ import annotations

import atexit
import sys
import threading
import time
from functools import cache

_PAUSE_SECONDS = 0.01
_FEWEST_PAUSES = 10
_MOST_PAUSES = 200
_THREADING = threading.Thread.run.__code__.co_filename
"""Place of `threading` as frames name it: its ``__file__`` differs where it is only compiled."""


@cache
def wait_for_native_threads_at_exit() -> None:
    """Let the exit of the interpreter call `wait_for_native_threads`.

    Functions that are registered with `atexit` later, and use Temporal, are called before it.
    """
    atexit.register(wait_for_native_threads)


def wait_for_native_threads() -> None:
    """Wait until threads that Python did not start have left the interpreter.

    Takes 0.1 s, and 2 s at most, on a machine that is not busy.
    """
    # A thread that waits for the interpreter's lock cannot be seen, so each may have a turn first.
    # On a busy machine a pause takes longer, as that turn does: many short ones adapt to it.
    for number in range(_MOST_PAUSES):
        if number >= _FEWEST_PAUSES and not _native_thread_runs_python():
            return
        time.sleep(_PAUSE_SECONDS)


def _native_thread_runs_python() -> bool:
    """Return True if a thread runs Python code that neither Python nor `threading` started."""
    known = {threading.get_ident(), threading.main_thread().ident}
    for thread, frame in sys._current_frames().items():  # pyright: ignore[reportPrivateUsage]
        while frame.f_back is not None:
            frame = frame.f_back
        if thread not in known and frame.f_code.co_filename != _THREADING:
            return True
    return False
