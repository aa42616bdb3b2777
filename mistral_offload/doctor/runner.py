"""Runs checks concurrently, each with a time limit, and yields findings in a fixed order."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence

from mistral_offload.doctor.findings import Check, Finding, Outcome, Verdict, failed, not_checked
from mistral_offload.doctor.remedies import remedy_for
from mistral_offload.errors import MistralOffloadError


async def run_checks(checks: Sequence[Check], *, timeout: float) -> AsyncGenerator[Finding]:
    """Run checks; yield each finding as soon as it and all before it are known.

    A check starts when all checks in its ``needs`` and ``after`` have ended; ids that are not among
    the given checks are ignored.

    Args:
        checks: checks with distinct ids, and no circular dependencies.
        timeout: time limit of each check, in seconds.
    """
    tasks: dict[str, asyncio.Task[Finding]] = {}

    async def run(check: Check) -> Finding:
        waits = [tasks[name] for name in (*check.needs, *check.after) if name in tasks]
        if waits:
            await asyncio.wait(waits)
        for name in check.needs:
            if name in tasks and (skipped := _skip_because_of(tasks[name].result())) is not None:
                return _finding(check, skipped, 0.0)
        start = time.monotonic()
        verdict = await _examine(check, timeout)
        return _finding(check, verdict, time.monotonic() - start)

    tasks |= {check.id: asyncio.create_task(run(check)) for check in checks}
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
            f"no result within {timeout:g} s",
            "check the network and the server; --timeout raises the limit",
        )
    except Exception as error:  # must not hide other findings; its text may hold a secret
        return failed(
            f"the check itself failed with {type(error).__name__}",
            "report a bug of mistral-offload",
        )


def _skip_because_of(needed: Finding) -> Verdict | None:
    """Return the verdict of a check that is skipped because of one it needs; None to run it."""
    if needed.outcome is Outcome.FAILED:
        return not_checked(f"'{needed.title}' failed")
    if needed.outcome is Outcome.NOT_CHECKED:
        return Verdict(Outcome.NOT_CHECKED, needed.detail)
    return None


def _finding(check: Check, verdict: Verdict, seconds: float) -> Finding:
    return Finding(check.id, check.title, *verdict, round(seconds, 3))
