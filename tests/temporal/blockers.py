"""Workflows that break the rules: they block their thread, or resist being evicted."""

from __future__ import annotations

import asyncio
import threading
import time

from temporalio import activity, workflow

inside = threading.Event()
release = threading.Event()


@workflow.defn(sandboxed=False)
class Blocked:
    """Blocks its thread until `release` is set."""

    @workflow.run
    async def run(self) -> None:
        inside.set()
        # Not interruptible: one long call into C code.
        release.wait(60)


@workflow.defn(sandboxed=False)
class Unevictable:
    """Waits, and waits again whatever happens."""

    @workflow.run
    async def run(self) -> None:
        while not release.is_set():
            try:
                inside.set()
                await asyncio.Event().wait()
            except BaseException:
                continue


@workflow.defn(sandboxed=False)
class Slow:
    """Takes some seconds of its thread, without yielding."""

    @workflow.run
    async def run(self, seconds: float) -> str:
        if not workflow.unsafe.is_replaying():
            time.sleep(seconds)  # noqa: ASYNC251
        return "done"


@workflow.defn(sandboxed=False)
class Quick:
    """Waits for two activities, one after the other."""

    @workflow.run
    async def run(self) -> int:
        return 2


@activity.defn
def idle() -> None:
    """Do nothing, in a thread."""


WORKFLOWS: list[type] = [Blocked, Unevictable, Slow, Quick]
