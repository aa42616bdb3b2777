"""Verdicts on given values, without I/O beyond a directory."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from mistral_offload.doctor.expiry import evaluate_expiry
from mistral_offload.doctor.machine import check_cache_directory
from mistral_offload.doctor.speed import evaluate_clock
from mistral_offload.lifecycle.rules import ExpiryRule

NOON = datetime(2026, 1, 1, 12, tzinfo=timezone.utc)
APPLY = "mistral-offload lifecycle apply --days"
START = "data/temporal-payload/acme/"


@pytest.mark.parametrize(
    ("seconds", "outcome"),
    [(0, "ok"), (4, "ok"), (-4, "ok"), (30, "warning"), (-30, "warning"), (1000, "failed"),
     (-1000, "failed")],
)  # fmt: skip
def test_clocks(seconds: float, outcome: str) -> None:
    """The write took two seconds, and the store reports whole seconds."""
    modified = NOON + timedelta(seconds=seconds)
    verdict = evaluate_clock(modified, NOON, NOON + timedelta(seconds=2))
    assert verdict.outcome.value == outcome
    if outcome != "ok":
        assert ("behind" if seconds > 0 else "ahead of") in verdict.detail
        assert "set this machine's clock" in str(verdict.remedy)


@pytest.mark.parametrize(
    ("rules", "retention", "outcome", "words"),
    [
        ([], 30, "warning", "kept forever"),
        ([ExpiryRule("data/", 60)], 30, "ok", "rule of 'data/'"),
        ([ExpiryRule(START, 40, "ours")], 30, "ok", "rule 'ours'"),
        ([ExpiryRule("data/", 32)], 30, "warning", "longer than 2 days"),
        ([ExpiryRule("data/", 30)], 30, "failed", "after 30 days"),
        ([ExpiryRule(START, 60), ExpiryRule("", 7, "old")], 30, "failed", "of the whole bucket"),
        ([ExpiryRule("other/", 1)], 30, "warning", "kept forever"),
        ([ExpiryRule("data/", 1, enabled=False)], 30, "warning", "kept forever"),
        ([ExpiryRule("data/", 60), ExpiryRule("", 3, "tagged", is_conditional=True)], 30,
         "warning", "'tagged'"),
        ([ExpiryRule("data/", 60), ExpiryRule(START + "order-", 3)], 30, "warning", "too early"),
        ([ExpiryRule("data/", 60)], None, "ok", "(assumed, "),
        ([ExpiryRule("data/", 20)], None, "warning", "lose data"),
        ([ExpiryRule("data/", 41)], 31.5, "warning", "longer than 9 days"),
    ],
)  # fmt: skip
def test_expiry(rules: list[ExpiryRule], retention: float | None, outcome: str, words: str) -> None:
    kept = None if retention is None else timedelta(days=retention)
    verdict = evaluate_expiry(START, rules, retention=kept)
    assert (verdict.outcome.value, words in verdict.detail) == (outcome, True), verdict
    assert (verdict.remedy is None) == (outcome == "ok")


@pytest.mark.parametrize(
    ("rule", "retention", "remedy"),
    [
        (ExpiryRule(START, 5, is_ours=True), 30, f"{APPLY} 40"),
        (ExpiryRule(START, 5, is_ours=True), 7, f"{APPLY} 17 --retention-days 7"),
        (ExpiryRule("", 5, "tidy"), 30,
         f"remove rule 'tidy' of the whole bucket, or narrow it; then {APPLY} 40"),
    ],
)  # fmt: skip
def test_remedies_of_expiry(rule: ExpiryRule, retention: int, remedy: str) -> None:
    verdict = evaluate_expiry(START, [rule], retention=timedelta(days=retention))
    assert verdict.remedy == remedy


def check_directory(path: Path, *, size: int = 1000, may_write: bool = True) -> tuple[str, str]:
    verdict = check_cache_directory(path, size=size, variables="V", may_write=may_write)
    return verdict.outcome.value, f"{verdict.detail} {verdict.remedy}"


def test_cache_directories(tmp_path: Path) -> None:
    absent = tmp_path / "not" / "there"
    assert check_directory(absent)[0] == "ok"
    assert not absent.parent.exists()
    there = tmp_path / "there"
    there.mkdir(mode=0o700)
    (there / "ab").mkdir()
    (there / "ab" / "blob").write_bytes(bytes(500))
    outcome, words = check_directory(there)
    assert (outcome, "holds 500 bytes" in words) == ("ok", True)
    assert check_directory(there, may_write=False)[0] == "ok"
    outcome, words = check_directory(there, size=2**60)
    assert (outcome, "lower V__CACHE_DIRECTORY_BYTES" in words) == ("warning", True)
    there.chmod(0o755)
    outcome, words = check_directory(there)
    assert (outcome, f"chmod 700 {there}" in words) == ("warning", True)
    file = tmp_path / "file"
    file.write_text("")
    for path in (file, file / "below"):
        outcome, words = check_directory(path)
        assert (outcome, "NotADirectoryError" in words) == ("warning", True)
