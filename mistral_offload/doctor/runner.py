"""Runs checks at the same time, each within its time, and tells them in their order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence

from mistral_offload.doctor.findings import Check, Finding, Outcome, Verdict, failed, not_checked
from mistral_offload.doctor.remedies import remedy_for
from mistral_offload.errors import MistralOffloadError


async def run_checks(checks: Sequence[Check], *, timeout: float) -> AsyncGenerator[Finding]:
    """Run checks; a finding comes when it and those before it are there.

    A check begins when those that it names have ended. Names of checks that are not among these are
    passed over.

    Args:
        checks: with distinct ids, and no circles.
        timeout: how long each may take, in seconds.
    """
    tasks: dict[str, asyncio.Task[Finding]] = {}

    async def conduct(check: Check) -> Finding:
        waits = [tasks[name] for name in (*check.needs, *check.after) if name in tasks]
        if waits:
            await asyncio.wait(waits)
        for name in check.needs:
            if name in tasks and (missed := _missed(tasks[name].result())) is not None:
                return _finding(check, missed, 0.0)
        began = time.monotonic()
        verdict = await _examine(check, timeout)
        return _finding(check, verdict, time.monotonic() - began)

    tasks |= {check.id: asyncio.create_task(conduct(check)) for check in checks}
    try:
        for check in checks:
            yield await tasks[check.id]
    finally:
        for task in tasks.values():
            task.cancel()
        await asyncio.gather(*tasks.values(), return_exceptions=True)


async def _examine(check: Check, timeout: float) -> Verdict:
    try:
        return await asyncio.wait_for(check.examine(), timeout)
    except MistralOffloadError as error:
        return failed(str(error), remedy_for(error, variables=check.variables))
    except asyncio.TimeoutError:
        return failed(
            f"nothing came of it within {timeout:g} s",
            "look at the network and at what answers there; --timeout gives it longer",
        )
    except Exception as error:  # the others must be heard; its text might hold anything
        return failed(
            f"the check itself failed with {type(error).__name__}", "report it as a fault of ours"
        )


def _missed(needed: Finding) -> Verdict | None:
    """Why a check is passed over for one that it needs, if it is."""
    if needed.outcome is Outcome.FAILED:
        return not_checked(f"'{needed.title}' failed")
    if needed.outcome is Outcome.NOT_CHECKED:
        return Verdict(Outcome.NOT_CHECKED, needed.detail)
    return None


def _finding(check: Check, verdict: Verdict, seconds: float) -> Finding:
    return Finding(check.id, check.title, *verdict, round(seconds, 3))
