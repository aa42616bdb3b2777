"""Checks run concurrently, each with a time limit, and none hides another."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from mistral_offload.doctor.findings import Check, Finding, Outcome, Verdict, ok, warning
from mistral_offload.doctor.runner import run_checks
from mistral_offload.errors import MissingExtraError
from tests.bounds import within


def check(id: str, examine: Callable[[], Awaitable[Verdict]], **others: Any) -> Check:
    return Check(id, f"about {id}", examine, **others)


async def fine() -> Verdict:
    return ok("seen")


async def found(*checks: Check, timeout: float = 5) -> dict[str, Finding]:
    return {finding.id: finding async for finding in run_checks(checks, timeout=timeout)}


async def test_all_run_concurrently_and_are_reported_in_order() -> None:
    met = asyncio.Event()

    async def waits() -> Verdict:
        await within(met.wait())
        return ok("met")

    async def meets() -> Verdict:
        met.set()
        return warning("met", "mind")

    findings = await found(check("first", waits), check("second", meets))
    assert list(findings) == ["first", "second"]
    assert findings["second"].remedy == "mind"


async def test_dependents_of_a_failed_check_are_not_checked() -> None:
    async def fails() -> Verdict:
        raise MissingExtraError("this", "s3")

    findings = await found(
        check("needed", fails),
        check("needs", fine, needs=("needed",)),
        check("deeper", fine, needs=("needs",)),
        check("later", fine, after=("needs",)),
        check("apart", fine, needs=("not among them",)),
    )
    assert [finding.outcome.value for finding in findings.values()] == [
        "failed",
        "not_checked",
        "not_checked",
        "ok",
        "ok",
    ]
    assert findings["needed"].remedy == 'pip install "mistral-offload[s3]"'
    assert findings["needs"].detail == "because 'about needed' failed"
    assert findings["deeper"].detail == "because 'about needed' failed"


async def test_a_check_that_does_not_end_times_out() -> None:
    async def never() -> Verdict:
        await asyncio.sleep(3_600)
        raise AssertionError

    findings = await found(check("hangs", never), check("other", fine), timeout=0.05)
    assert findings["hangs"].outcome is Outcome.FAILED
    assert "0.05 s" in findings["hangs"].detail
    assert findings["other"].outcome is Outcome.OK


async def test_a_fault_of_a_check_hides_neither_the_others_nor_shows_its_text() -> None:
    async def breaks() -> Verdict:
        raise KeyError("the-secret")

    findings = await found(check("broken", breaks), check("other", fine))
    assert findings["broken"].outcome is Outcome.FAILED
    assert "KeyError" in findings["broken"].detail
    assert "the-secret" not in repr(findings["broken"])
    assert findings["other"].outcome is Outcome.OK


async def test_the_remaining_checks_are_cancelled() -> None:
    cancelled = asyncio.Event()

    async def never() -> Verdict:
        try:
            await asyncio.sleep(3_600)
        except asyncio.CancelledError:
            cancelled.set()
            raise
        raise AssertionError

    running = run_checks([check("one", fine), check("two", never)], timeout=60)
    async for finding in running:
        assert finding.id == "one"
        await asyncio.sleep(0)
        break
    await within(running.aclose())
    assert cancelled.is_set()
    with pytest.raises(StopAsyncIteration):
        await anext(running)
