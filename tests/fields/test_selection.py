"""Selection of the fields to offload."""

from __future__ import annotations

import pytest

from mistral_offload.fields.selection import Candidate, select_fields


@pytest.mark.parametrize(
    ("sizes", "rest", "floor", "moving"),
    [
        ([5_000, 3_000], 100, 8_101, []),
        ([5_000, 3_000], 100, 8_100, [0]),  # the smaller one stays when the rest fits
        ([3_000, 5_000], 100, 8_100, [1]),
        ([3_000, 5_000], 100, 3_000, [0, 1]),
        ([3_000, 5_000], 9_000, 8_100, [0, 1]),
        ([300, 20, 255, 256], 9_000, 1_000, [0, 3]),  # the other fields would grow
        ([1, 20], 0, 1, [0, 1]),  # so low a floor offloads everything
        ([1, 20], 0, 0, [0, 1]),
        ([], 9_000, 1_000, []),
    ],
)
def test_choose(sizes: list[int], rest: int, floor: int, moving: list[int]) -> None:
    candidates = [Candidate(size) for size in sizes]
    assert select_fields(candidates, rest_bytes=rest, min_size_bytes=floor) == moving


def test_what_has_no_plain_form_always_moves() -> None:
    candidates = [Candidate(5_000), Candidate(10, has_platform_form=False), Candidate(4_000)]
    assert select_fields(candidates, rest_bytes=0, min_size_bytes=100_000) == [1]
    assert select_fields(candidates, rest_bytes=0, min_size_bytes=8_000) == [0, 1]
