"""Readers of untrusted bytes: each accepts any bytes, and may raise only errors of ours.

Every target has seeds, valid bytes from which almost valid ones are made.
"""

from __future__ import annotations

import asyncio
import gzip
import json
import zlib
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import httpx
from google.protobuf.message import DecodeError
from pydantic import BaseModel, ValidationError
from temporalio.api.common.v1 import Payload

from mistral_offload import Mistral
from mistral_offload.api import encoded_events, endpoints, response_values
from mistral_offload.api.response_body import limit_body
from mistral_offload.api.responses import parse_json, to_model
from mistral_offload.api.retries import BackoffStrategy, RetryConfig, pause_seconds
from mistral_offload.api.sse import FrameReader
from mistral_offload.api.stream_calls import parse_frame
from mistral_offload.cli.json_output import escape_controls
from mistral_offload.codecserver.links import Links
from mistral_offload.config import PayloadCompressionConfig, PayloadEncryptionConfig
from mistral_offload.errors import MistralOffloadError
from mistral_offload.fields.content import FieldContent
from mistral_offload.fields.field import OffloadableField
from mistral_offload.inspection import parse_target
from mistral_offload.inspection.display import Form, show_value
from mistral_offload.inspection.payloads import find_fields
from mistral_offload.inspection.transforms import TransformDecoder
from mistral_offload.payload import compression
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded_payload import EncodedPayload, parse_options
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.encryption import Cipher
from mistral_offload.payload.envelope import read_envelope
from mistral_offload.payload.field_blob import HEADER, FieldCipher
from mistral_offload.payload.field_reference import ContentForm, FieldReference
from mistral_offload.payload.jsontext import load_json
from mistral_offload.payload.partial_encryption import (
    MARKER,
    EncryptedStrField,
    decrypt_marked,
    decrypt_patches,
    encrypt_marked,
)
from mistral_offload.payload.reference import Reference
from mistral_offload.temporal.codec import OffloadingCodec
from mistral_offload.temporal.converter import read_value
from mistral_offload.temporal.wire.context_payloads import ContextPayload
from tests.fuzz.storage_targets import READERS

_DIGEST = "0" * 64
_KEY = f"temporal-payload/n/e/sha256:{_DIGEST}"
_FIELD_KEY = f"temporal-activity-payload/n/r/sha256:{_DIGEST}/json-3/transcript"
_ENCRYPTION = PayloadEncryptionConfig(mode="partial", main_key="8f" * 32)
_CIPHER = Cipher(_ENCRYPTION)
_SMALLER = PayloadCompressionConfig(min_size_bytes=0)
_ENCODER = PayloadEncoder(encryption=_ENCRYPTION, compression=_SMALLER, largest_bytes=2**20)
_CODEC = OffloadingCodec(_ENCODER)
_BACKOFF = BackoffStrategy(
    initial_interval=250, max_interval=5_000, exponent=2.0, max_elapsed_time=30_000
)
_LINKS = Links(None, seconds=60)
_DECODER = TransformDecoder(_ENCRYPTION, largest_bytes=2**20)


class _Model(BaseModel):
    title: str
    transcript: OffloadableField[str] = OffloadableField(value="")
    secret: EncryptedStrField | None = None


def _reference(data: bytes) -> None:
    Reference.from_json(data)


def _key(data: bytes) -> None:
    text = data.decode(errors="surrogateescape")
    with suppress(MistralOffloadError):
        assert Reference.from_key(text).key == text
    assert FieldReference.from_key(text).key == text


def _envelope(data: bytes) -> None:
    for found in response_values.find_at_any_depth(load_json(data)):
        with suppress(MistralOffloadError):
            _ENCODER.decode_value(found.payload)
    payload = read_envelope(load_json(data))
    if payload is not None:
        _ENCODER.decode_value(payload)


def _document(data: bytes) -> None:
    document = load_json(data)
    for find in (
        response_values.find_in_result,
        response_values.find_in_schedule,
        response_values.find_in_schedules,
        encoded_events.find_in_events,
    ):
        with suppress(MistralOffloadError):
            for found in find(document):
                if found.patches is not None:
                    _ENCODER.decode_patches(found.patches)


def _payload(data: bytes) -> None:
    with suppress(DecodeError):
        payload = Payload.FromString(data)
        (plain,) = asyncio.run(_CODEC.decode([payload]))
        read_value(plain)


def _compressed(data: bytes) -> None:
    assert len(compression.decompress(data, limit=2**20)) <= 2**20


def _encrypted(data: bytes) -> None:
    _CIPHER.decrypt(data)


def _marked(data: bytes) -> None:
    with suppress(MistralOffloadError):
        encrypt_marked(data, _CIPHER)
    decrypt_marked(data, _CIPHER)


def _patches(data: bytes) -> None:
    patches = load_json(data)
    if isinstance(patches, list):
        decrypt_patches(patches, _CIPHER)


def _options(data: bytes) -> None:
    parse_options(data.decode(errors="replace").split(","))


def _field_blob(data: bytes) -> None:
    content = FieldCipher(_CIPHER, encrypts=False).open(data)
    for annotation in (str, bytes, int, list[str], _Model, Any):
        for form in (None, ContentForm.JSON, ContentForm.BYTES):
            with suppress(MistralOffloadError):
                FieldContent(annotation).read(content, form)


def _field_json(data: bytes) -> None:
    with suppress(ValidationError):  # pydantic's own, as for every other field of a model
        _Model.model_validate_json(data)


def _stream(data: bytes) -> None:
    whole, pieces = FrameReader(), FrameReader()
    frames = [*whole.feed(data)]
    steps = (data[start : start + 3] for start in range(0, len(data), 3))
    again = [frame for step in steps for frame in pieces.feed(step)]
    assert frames == again
    assert whole.is_inside_event == pieces.is_inside_event
    operation: Any = endpoints.STREAM_EVENTS
    for frame in frames:
        with suppress(MistralOffloadError):
            for found in encoded_events.find_in_frame(
                parse_frame(operation, _response(200, b""), frame)
            ):
                _ENCODER.decode(EncodedPayload(found.payload.data, found.payload.options))


def _streams(data: bytes) -> None:
    """Read a stream over reconnects: each 0xff ends a connection, in turn cleanly and by a cut."""
    bodies = iter(data.split(b"\xff")[:6])

    def respond(request: httpx.Request) -> httpx.Response:
        body = next(bodies, None)
        if body is None:
            return httpx.Response(404)
        headers = {"content-type": "text/event-stream"}
        if body.startswith(b"\x1f\x8b"):
            headers["content-encoding"] = "gzip"
        return httpx.Response(200, headers=headers, stream=httpx.ByteStream(body))

    transport = httpx.MockTransport(respond)
    retries = RetryConfig("backoff", BackoffStrategy(1, 1, 1, 20, 0))
    with (
        httpx.Client(transport=transport) as client,
        Mistral("k", client=client, retry_config=retries, max_response_bytes=2048) as mistral,
        mistral.workflows.events.get_stream_events(reconnect=True) as stream,
    ):
        for frame in stream:
            assert frame.event != "error"


def _body(data: bytes) -> None:
    for coding in ("gzip", "deflate", "identity"):
        response = httpx.Response(
            200, headers={"content-encoding": coding}, stream=httpx.ByteStream(data)
        )
        limit_body(endpoints.EXECUTE_WORKFLOW, response, 10_000)
        with suppress(MistralOffloadError):
            assert len(response.read()) <= 10_000


def _answer(data: bytes) -> None:
    operation: Any = endpoints.EXECUTE_WORKFLOW
    for status in (200, 404, 422, 500):
        with suppress(MistralOffloadError):
            response = _response(status, data)
            to_model(operation, response, parse_json(operation, response))


def _headers(data: bytes) -> None:
    text = data.decode("latin-1")
    for name in ("retry-after", "retry-after-ms"):
        assert pause_seconds(_BACKOFF, 1, {name: text}) >= 0


def _link(data: bytes) -> None:
    _LINKS.read(data.decode("latin-1"))


def _target(data: bytes) -> None:
    parse_target(data.decode(errors="surrogateescape"))


def _blob(data: bytes) -> None:
    for decoded in (_DECODER.detect_and_decode(data), _DECODER.decode_field(data)):
        find_fields(decoded.data)
        shown = show_value(decoded.data, limit=100)
        assert len(shown.text.encode()) <= 100 or shown.form is Form.BYTES
        assert "\x1b" not in escape_controls(shown.text)


def _response(status: int, body: bytes) -> httpx.Response:
    return httpx.Response(
        status,
        content=body,
        headers={"content-type": "application/json"},
        request=httpx.Request(
            "GET", "http://platform", headers={"authorization": "Bearer a-key-x"}
        ),
    )


@dataclass(frozen=True)
class Target:
    """A reader of untrusted bytes.

    Attributes:
        read: accepts any bytes.
        seeds: valid bytes.
        examples: number of new inputs of a plain test.
    """

    read: Callable[[bytes], None]
    seeds: tuple[bytes, ...]
    examples: int = 100


def _seeds_of_payloads() -> tuple[bytes, ...]:
    context = PayloadContext("n", "e", extensions={"a": 1}, execution_token="t")
    payloads = [
        ContextPayload(b'{"title": "x"}', context).to_payload(),
        Payload(metadata={"encoding": b"json/plain"}, data=b'{"a": 1}'),
        Payload(
            metadata={"encoding": b"json/wf_v1"},
            data=b'{"context": {"namespace": "n", "execution_id": "e"}, "payload": "1"}',
        ),
        Payload(
            metadata={
                "encoding": b"binary/encoded",
                "encoding-orig": b"json/plain",
                "encoding_options": b"compressed,encrypted",
            },
            data=b"x",
        ),
    ]
    return tuple(payload.SerializeToString(deterministic=True) for payload in payloads)


def _json(value: object) -> bytes:
    return json.dumps(value).encode()


_ENVELOPE = {"b64payload": "eyJhIjogMX0=", "encoding_options": ["compressed"], "empty": False}
_EVENT = {"type": "json", "value": "eyJhIjogMX0=", "encoding_options": ["encrypted"]}
_PATCH = [{"op": "add", "path": "/a", "value": "eyJhIjogMX0="}]
_MARKED = {"a": {"field_type": "__encrypted_str__", "data": "eyJhIjogMX0="}}
_ZSTD = compression.compress(b"a" * 1000, _SMALLER) or b""
_SEALED = _CIPHER.encrypt_blob(b'"text"', namespace="n", execution_id="r")

TARGETS: dict[str, Target] = {
    "reference": Target(_reference, (_json({"key": _KEY}),)),
    "key": Target(_key, (_KEY.encode(), _FIELD_KEY.encode())),
    "envelope": Target(_envelope, (_json(_ENVELOPE), _json({"result": _ENVELOPE}))),
    "document": Target(
        _document,
        (
            _json({"result": _ENVELOPE, "events": [{"attributes": {"a": _EVENT}}]}),
            _json({"schedules": [{"input": _ENVELOPE}]}),
        ),
    ),
    "payload": Target(_payload, _seeds_of_payloads()),
    "compressed": Target(_compressed, (_ZSTD,)),
    "encrypted": Target(_encrypted, (_CIPHER.encrypt(b"text"),)),
    "marked": Target(_marked, (_json(_MARKED), encrypt_marked(_json(_MARKED), _CIPHER) or b"{}")),
    "patches": Target(_patches, (_json(_PATCH),)),
    "options": Target(_options, (b"offloaded,encrypted-partial",)),
    "field blob": Target(_field_blob, (b'"text"', b'{"title": "x"}', HEADER + _SEALED)),
    "field json": Target(
        _field_json,
        (
            _json({"title": "x", "transcript": {"value": None, "blob_ref": _FIELD_KEY}}),
            _json({"title": "x", "transcript": {"value": None, "value_base64": "AAE="}}),
        ),
    ),
    "stream": Target(
        _stream,
        (
            b'id: 1\r\nevent: message\r\ndata: {"a": 1}\r\nretry: 10\r\n\r\n',
            b'event: error\ndata: {"reason": "read_error", "error": "x"}\n\n',
        ),
    ),
    "stream: reconnects": Target(
        _streams,
        (
            b"id: 1\nretry: 1\n\n\xffdata:\n\nid: \xc3\xa9\n\n\xffid\n\n: note\n\n",
            b'event: error\ndata: {"reason": "read_error"}\n\n\xffid: 2\n\ndata: {"a"',
            gzip.compress(b"id: 3\n\n"),
        ),
    ),
    "body": Target(_body, (gzip.compress(b"a" * 20_000), zlib.compress(b"text"), b"text")),
    "answer": Target(
        _answer,
        (
            _json({"workflow_name": "w", "execution_id": "e", "status": "RUNNING"}),
            _json({"detail": [{"loc": ["body"], "msg": "m", "type": "t"}]}),
        ),
    ),
    "headers": Target(_headers, (b"120", b"Wed, 21 Oct 2026 07:28:00 GMT")),
    "link": Target(_link, (b"AAAA",)),
    "inspect: target": Target(
        _target,
        (
            _KEY.encode(),
            b"data/" + _FIELD_KEY.encode(),
            _json({"key": _KEY}),
            _json({"value": None, "blob_ref": _FIELD_KEY}),
            _json(_ENVELOPE),
            _json({"metadata": {"encoding": "anNvbi93Zl92MQ=="}, "data": "e30="}),
        ),
    ),
    "inspect: blob": Target(
        _blob,
        (
            _ZSTD,
            _SEALED,
            HEADER + _SEALED,
            _json({"a": {"value": None, "blob_ref": _FIELD_KEY}}),
            encrypt_marked(_json({"field_type": MARKER, "data": "x"}), _CIPHER) or b"",
        ),
    ),
    **{name: Target(*reader) for name, reader in READERS.items()},
}
