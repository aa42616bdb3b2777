"""Hashes of schedule inputs, against recorded ones."""

from __future__ import annotations

import json

import pytest

from mistral_offload.errors import PayloadSerializationError
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.schedule_hash import canonical_json
from tests.vectors import Case, b64, encryption_of, load, parameters


@pytest.mark.parametrize("case", parameters(load("schedule_input_hash")))
def test_hash(case: Case) -> None:
    text = case["input_text"] if "input_text" in case else json.dumps(case["input"])
    encoder = PayloadEncoder(encryption=encryption_of(case["config"]))
    assert canonical_json(text.encode()) == b64(case["canonical_utf8_b64"])
    assert encoder.hash_schedule_input(text.encode()) == case["expected"]["input_hash"]


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"[" * 100_000])
def test_what_is_no_json_has_no_hash(data: bytes) -> None:
    with pytest.raises(PayloadSerializationError):
        PayloadEncoder().hash_schedule_input(data)
