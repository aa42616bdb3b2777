"""Values of events: in place or by reference, in all modes, and read as a client reads them."""

from __future__ import annotations

import base64
import json
from typing import Any

import pytest

from mistral_offload._digests import sha256_hex
from mistral_offload.api.encoded_events import find_in_events
from mistral_offload.errors import PayloadDecodeError, PayloadSerializationError
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.event_values import EventValue, EventValueEncoder, refer
from mistral_offload.payload.held_text import HeldText
from mistral_offload.payload.jsontext import dump_json
from mistral_offload.storage import MemoryStore
from tests.payload.configs import CONTEXT, compression, encryption, every_combination, offloading

COMBINATIONS = list(every_combination())
MARKED = {"field_type": "__encrypted_str__", "data": "hush"}
SMALL = [{"text": "small"}]
LARGE = [{"text": "large" * 2000, "secret": MARKED}]
PATCHES = [
    {"path": "/open", "value": "more", "op": "append"},
    {"path": "/secret/data", "value": "hush", "op": "replace"},
]


def read(value: EventValue, encoder: PayloadEncoder) -> Any:
    """Decode a value as the client does, from the text of a response with events."""
    text = b'{"events":[{"attributes":{"input":%b}}]}' % value.to_json()
    document = json.loads(text)
    assert document["events"][0]["attributes"]["input"] == value.to_object()
    for found in find_in_events(document):
        if found.patches is not None:
            found.replace(encoder.decode_patches(found.patches))
        else:
            found.replace(encoder.decode_value(found.payload))
    return document["events"][0]["attributes"]["input"]["value"]


@pytest.mark.parametrize("config", COMBINATIONS, ids=lambda c: PayloadEncoder(**c).description)
async def test_every_mode(config: dict[str, Any]) -> None:
    store = MemoryStore()
    encoder = PayloadEncoder(**config, store=store)
    events = EventValueEncoder(encoder, min_size_bytes=4000)

    small = events.encode(SMALL, CONTEXT)
    assert read(small, encoder) == SMALL
    assert not store.requests
    if config["encryption"] is None and config["compression"] is None:
        assert small == EventValue(b'[{"text":"small"}]')
    elif encoder.encrypts_whole:
        assert small.options[-1:] == (EncodingOption.ENCRYPTED,)

    large = await events.encode_async(LARGE, CONTEXT)
    assert read(large, encoder) == LARGE
    if not encoder.compresses:
        assert large.is_reference is encoder.offloads
    if encoder.encrypts_fields:
        assert large.options[0] is EncodingOption.ENCRYPTED_PARTIAL
    expected = encoder.encode(dump_json(LARGE), CONTEXT, floor=4000)
    assert large.options == expected.options  # as of a payload with this content
    stored = len(store.requests)

    held = HeldText(len(dump_json(LARGE)), lambda: dump_json(LARGE), is_kept=False)
    assert read(events.encode_text(held, CONTEXT), encoder) == LARGE
    if not encoder.encrypts_fields:
        assert len(store.requests) == stored  # the same content is the same blob
    if large.is_reference:
        assert events.stored_values == 2
        assert events.stored_bytes == 2 * len(dump_json(LARGE))

    patches = events.encode_patches(PATCHES, CONTEXT, encrypted_paths={"/secret/data"})
    assert patches.type == "json_patch"
    assert read(patches, encoder) == PATCHES
    if config["encryption"] is not None:
        assert b"hush" not in patches.to_json()
    if encoder.encrypts_fields:
        open_patch, sealed = json.loads(patches.text)
        assert open_patch == PATCHES[0]
        assert sealed["value"]["type"] == "__encrypted__"
        assert [option.value for option in patches.options] == ["encrypted-partial"]
    many = [{"path": f"/{number}", "value": None, "op": "remove"} for number in range(200)]
    assert read(await events.encode_patches_async(many, CONTEXT), encoder) == many


@pytest.mark.parametrize(
    ("encryptions", "compressions", "names"),
    [
        (None, None, "offloaded"),
        (None, compression(), "compressed offloaded"),
        (encryption(), None, "encrypted offloaded encrypted"),
        (encryption(), compression(), "compressed encrypted offloaded encrypted"),
        (encryption(encrypt_blobs=False), None, "offloaded encrypted"),
        (encryption("partial"), None, "encrypted-partial offloaded"),
        (
            encryption("partial", encrypt_blobs=False),
            compression(),
            "encrypted-partial compressed offloaded",
        ),
    ],
)
def test_options_of_a_reference(encryptions: Any, compressions: Any, names: str) -> None:
    encoder = PayloadEncoder(
        offloading(),
        encryption=encryptions,
        compression=compressions,
        store=MemoryStore(),
    )
    value = EventValueEncoder(encoder, min_size_bytes=1).encode(LARGE, CONTEXT)
    assert value.to_object()["encoding_options"] == names.split()


@pytest.mark.parametrize("config", COMBINATIONS, ids=lambda c: PayloadEncoder(**c).description)
def test_a_payload_is_its_own_reference(config: dict[str, Any]) -> None:
    store = MemoryStore()
    encoder = PayloadEncoder(**config, store=store)
    payload = encoder.encode(dump_json(LARGE), CONTEXT)
    requests = store.requests.copy()
    value = refer(payload)
    assert store.requests == requests
    assert value.options == payload.options
    if payload.options:
        assert base64.b64decode(json.loads(value.text)) == payload.data
    assert read(value, encoder) == LARGE


def test_the_key_is_that_of_the_content() -> None:
    value = EventValueEncoder(PayloadEncoder(offloading(), store=MemoryStore())).encode(
        LARGE, CONTEXT
    )
    reference = json.loads(base64.b64decode(json.loads(value.text)))
    digest = sha256_hex(dump_json(LARGE))
    assert reference == {"key": f"temporal-payload/acme/exec-1/sha256:{digest}"}


def test_the_default_is_the_size_of_payloads_in_histories() -> None:
    encoder = PayloadEncoder(offloading(5000), store=MemoryStore())
    events = EventValueEncoder(encoder)
    assert not events.encode("x" * 4997, CONTEXT).is_reference
    assert events.encode("x" * 4998, CONTEXT).is_reference
    assert (events.stored_values, events.stored_bytes) == (1, 5000)
    assert not events.encode("x" * 5000, None).is_reference  # no execution, no key
    without_store = EventValueEncoder(PayloadEncoder(), min_size_bytes=1)
    assert without_store.encode("x", CONTEXT).to_json() == (
        b'{"type":"json","value":"x","encoding_options":null}'
    )


def test_what_is_not_json_is_refused() -> None:
    with pytest.raises(PayloadDecodeError):
        refer(EncodedPayload(b"\xff"))
    with pytest.raises(PayloadSerializationError):
        EventValueEncoder(PayloadEncoder()).encode(object(), CONTEXT)
