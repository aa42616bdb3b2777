"""The encoder's steps combined: round trips, malformed input, and threads."""

from __future__ import annotations

import contextlib
import json
import random
import threading
import time
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mistral_offload.errors import (
    MistralOffloadError,
    PayloadDecodeError,
    PayloadTooLargeError,
)
from mistral_offload.limits import INLINE_LIMIT_BYTES, INLINE_WORK_BYTES, MAX_TRANSFORMS, MIB
from mistral_offload.payload import encryption as encryption_step
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.encryption import OVERHEAD_BYTES
from mistral_offload.payload.envelope import read_envelope, write_envelope
from mistral_offload.payload.jsontext import dump_json, load_json
from mistral_offload.storage import MemoryStore
from tests.bounds import PATIENCE_SECONDS, Threads
from tests.payload.configs import (
    CONTEXT,
    KEYS,
    compression,
    encryption,
    every_combination,
    offloading,
)

COMBINATIONS = list(every_combination())
SECRET = "5ec4e7"

scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
marked = st.builds(lambda text: {"field_type": "__encrypted_str__", "data": text}, st.text())
values = st.recursive(
    scalars | marked,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(), inner, max_size=5),
    max_leaves=20,
)
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])


@pytest.mark.parametrize("config", COMBINATIONS, ids=lambda c: PayloadEncoder(**c).description)
@settings(unhurried, max_examples=12)
@given(value=values, repeats=st.integers(1, 200))
def test_decoding_undoes_encoding(config: dict[str, Any], value: Any, repeats: int) -> None:
    store = MemoryStore()
    encoder = PayloadEncoder(**config, store=store)
    data = dump_json([value] * repeats)
    payload = encoder.encode(data, CONTEXT)
    assert load_json(encoder.decode(payload)) == load_json(data)
    if EncodingOption.ENCRYPTED_PARTIAL not in payload.options:
        assert encoder.decode(payload) == data

    envelope = read_envelope(json.loads(write_envelope(payload)))
    assert envelope == payload

    if config["encryption"] is not None:  # after the key was replaced
        rotated = encryption(main_key=KEYS[1], secondary_key=KEYS[0])
        reader = PayloadEncoder(offloading(), encryption=rotated, store=store)
        assert load_json(reader.decode(payload)) == load_json(data)


@pytest.mark.parametrize("config", COMBINATIONS, ids=lambda c: PayloadEncoder(**c).description)
@settings(unhurried, max_examples=6)
@given(data=st.binary(max_size=3000))
def test_bytes_that_are_no_json(config: dict[str, Any], data: bytes) -> None:
    encoder = PayloadEncoder(**config, store=MemoryStore())
    assert encoder.decode(encoder.encode(data, CONTEXT, has_json=False)) == data


@pytest.mark.parametrize("config", COMBINATIONS, ids=lambda c: PayloadEncoder(**c).description)
def test_what_is_hidden_from_whom(config: dict[str, Any]) -> None:
    """The table of docs/encryption.md."""
    store = MemoryStore()
    encoder = PayloadEncoder(**config, store=store)
    value = {"open": f"{SECRET}-open", "m": {"field_type": "__encrypted_str__", "data": SECRET}}
    payload = encoder.encode_value([value] * 50, CONTEXT)
    stored = b"".join(store.get(stat.key) for stat in store.list())
    encrypts = config["encryption"]
    if encrypts is None or config["compression"] is not None:
        return
    whole = encrypts.is_full
    assert (f"{SECRET}-open".encode() in payload.data) is (not whole and not stored)
    assert (f"{SECRET}-open".encode() in stored) is (bool(stored) and not encrypts.blobs)
    assert json.dumps(SECRET).encode() not in payload.data
    in_clear = bool(stored) and whole and not encrypts.blobs  # as the official client leaves it
    assert (json.dumps(SECRET).encode() in stored) is in_clear


options = st.lists(st.sampled_from(list(EncodingOption)), max_size=MAX_TRANSFORMS + 2)


@settings(unhurried, max_examples=300)
@given(data=st.binary(max_size=500), chosen=options)
def test_random_bytes_are_decoded_or_refused(data: bytes, chosen: list[EncodingOption]) -> None:
    encoder = PayloadEncoder(offloading(), encryption=encryption(), store=MemoryStore())
    started = time.thread_time()  # whatever else the machine does
    with contextlib.suppress(MistralOffloadError):
        assert isinstance(encoder.decode(EncodedPayload(data, tuple(chosen))), bytes)
    assert time.thread_time() - started < 1


@settings(unhurried, max_examples=300)
@given(st.data())
def test_mutated_payloads_are_decoded_or_refused(data: st.DataObject) -> None:
    config = data.draw(st.sampled_from(COMBINATIONS))
    store = MemoryStore()
    encoder = PayloadEncoder(**config, store=store)
    payload = encoder.encode_value({"a": ["x" * 100] * 10}, CONTEXT)
    changed = bytearray(payload.data)
    for _ in range(data.draw(st.integers(1, 4))):
        place = data.draw(st.integers(0, len(changed) - 1))
        kind = data.draw(st.sampled_from(["flip", "cut", "insert"]))
        if kind == "flip":
            changed[place] ^= data.draw(st.integers(1, 255))
        elif kind == "cut" and len(changed) > 1:
            del changed[place]
        else:
            changed[place:place] = data.draw(st.binary(min_size=1, max_size=4))
    try:
        read = encoder.decode_value(EncodedPayload(bytes(changed), payload.options))
    except MistralOffloadError:
        return
    if EncodingOption.ENCRYPTED in payload.options[-1:]:
        assert bytes(changed) == payload.data
        assert read == {"a": ["x" * 100] * 10}


def test_too_many_transforms() -> None:
    payload = EncodedPayload(b"", (EncodingOption.ENCRYPTED_PARTIAL,) * (MAX_TRANSFORMS + 1))
    with pytest.raises(PayloadDecodeError, match=f"{MAX_TRANSFORMS + 1} transforms"):
        PayloadEncoder().decode(payload)


def test_64_threads_with_mixed_configurations() -> None:
    store = MemoryStore()
    encoders = [PayloadEncoder(**config, store=store) for config in COMBINATIONS]
    start = threading.Barrier(64, timeout=PATIENCE_SECONDS)

    def run(seed: int) -> int:
        chance = random.Random(seed)
        start.wait()
        for number in range(200):
            text = "".join(chance.choices("abcdef ", k=chance.randrange(1, 40))) * 50
            value = {"n": [seed, number], "m": {"field_type": "__encrypted_str__", "data": text}}
            encoder = chance.choice(encoders)
            assert encoder.decode_value(encoder.encode_value(value, CONTEXT)) == value
        return 200

    with Threads() as threads:
        assert sum(threads.map(run, range(64))) == 64 * 200


def test_what_is_too_large_without_a_store_is_judged_as_it_would_travel() -> None:
    value = "x" * (5 * MIB)
    encoder = PayloadEncoder(compression=compression())
    assert encoder.decode_value(encoder.encode_value(value, None)) == value
    rest = INLINE_LIMIT_BYTES - OVERHEAD_BYTES - 2
    encoder = PayloadEncoder(encryption=encryption())
    assert len(encoder.encode_value("x" * rest, None).data) == INLINE_LIMIT_BYTES
    with pytest.raises(PayloadTooLargeError) as caught:
        encoder.encode_value("x" * (rest + 1), None)
    assert caught.value.size == INLINE_LIMIT_BYTES + 1


def test_what_encryption_makes_too_large_is_offloaded() -> None:
    encoder = PayloadEncoder(
        offloading(min_size_bytes=5 * MIB), encryption=encryption(), store=MemoryStore()
    )
    rest = INLINE_LIMIT_BYTES - OVERHEAD_BYTES - 2
    assert not encoder.encode_value("x" * rest, CONTEXT).is_offloaded
    assert encoder.encode_value("x" * (rest + 1), CONTEXT).is_offloaded


@pytest.mark.parametrize("config", [{}, {"offloading": offloading(10 * MIB)}])
async def test_large_work_leaves_the_event_loop(
    config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    threads: list[int] = []
    nonce = encryption_step.new_nonce

    def new_nonce() -> bytes:
        threads.append(threading.get_ident())
        return nonce()

    monkeypatch.setattr(encryption_step, new_nonce.__name__, new_nonce)
    encoder = PayloadEncoder(**config, encryption=encryption(), store=MemoryStore())
    small = await encoder.encode_async(bytes(INLINE_WORK_BYTES - 1), CONTEXT)
    large = await encoder.encode_async(bytes(INLINE_WORK_BYTES), CONTEXT)
    await encoder.encode_value_async("x", CONTEXT)
    here = threading.get_ident()
    assert [ident == here for ident in threads] == [True, False, False]
    for payload in (small, large):
        assert await encoder.decode_async(payload) == encoder.decode(payload)
        assert await encoder.decode_value_async(payload) == encoder.decode_value(payload)


async def test_a_payload_that_grows_over_the_floor_leaves_the_event_loop() -> None:
    writers: list[int] = []

    class Watching(MemoryStore):
        def put(self, *args: Any, **kwargs: Any) -> bool:
            writers.append(threading.get_ident())
            return super().put(*args, **kwargs)

    encoder = PayloadEncoder(offloading(80), encryption=encryption("partial"), store=Watching())
    data = dump_json({"field_type": "__encrypted_str__", "data": "x"})
    assert len(data) < 80
    payload = await encoder.encode_async(data, CONTEXT)
    assert payload.is_offloaded
    assert writers[0] != threading.get_ident()
