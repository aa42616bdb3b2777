"""Ids made from two texts, as the official SDK makes them."""

from __future__ import annotations

from uuid import NAMESPACE_DNS, uuid4, uuid5


def generate_two_part_id(primary_seed: str | None = None, secondary_seed: str | None = None) -> str:
    """Return an id of 64 hexadecimal digits, 32 for each seed; equal seeds give equal ids.

    A seed that is empty or None is replaced by a random one.
    """
    seeds = (primary_seed or uuid4().hex, secondary_seed or uuid4().hex)
    return "".join(uuid5(NAMESPACE_DNS, seed).hex for seed in seeds)
