"""A hundred new inputs per target and run; past failures are kept here by name."""

from __future__ import annotations

from contextlib import suppress

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mistral_offload.errors import MistralOffloadError
from tests.fuzz.targets import TARGETS


@st.composite
def almost(draw: st.DrawFn, seeds: tuple[bytes, ...]) -> bytes:
    """Draw a seed with a few changes."""
    data = draw(st.sampled_from(seeds))
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(data)))
        end = draw(st.integers(start, min(len(data), start + 8)))
        middle = draw(st.binary(max_size=8) | st.just(data[start:end] * 3))
        data = data[:start] + middle + data[end:]
    return data


@pytest.mark.parametrize("name", TARGETS)
def test_only_errors_of_ours(name: str) -> None:
    target = TARGETS[name]

    @settings(max_examples=target.examples, deadline=None, suppress_health_check=list(HealthCheck))
    @given(almost(target.seeds) | st.binary(max_size=300))
    def read(data: bytes) -> None:
        with suppress(MistralOffloadError):
            target.read(data)

    read()


@pytest.mark.parametrize("name", TARGETS)
@pytest.mark.parametrize(
    "data",
    [b"", b"\0", b"[" * 100_000, b'{"a":' * 50_000, b"9" * 5_000, b"\xff" * 100, b'"\\ud800"'],
    ids=["nothing", "zero", "deep list", "deep object", "long number", "ones", "lone surrogate"],
)
def test_well_known_trouble(name: str, data: bytes) -> None:
    with suppress(MistralOffloadError):
        TARGETS[name].read(data)


@pytest.mark.parametrize(
    ("name", "data"),
    [
        ("reference", b'{"key": "temporal-payload/n/\\ud800/sha256:' + b"0" * 64 + b'"}'),
        ("stream", b"retry: " + b"9" * 5_000 + b"\n\n"),
        ("stream", b'event: error\ndata: {"reason": [], "error": {}}\n\n'),
        ("inspect: target", b'{"metadata": {"encoding": "e30="}, "\\ud800": 1}'),
        ("headers", b"Wed, 21 Oct 2026 77777777777777777777703:28:00 GMT"),
    ],
)
def test_what_once_went_wrong(name: str, data: bytes) -> None:
    with suppress(MistralOffloadError):
        TARGETS[name].read(data)
