"""Tries the plugin in an official environment where something is not as expected.

Prints one JSON object: by case, whether the engine is in place, and what was logged.
"""

import asyncio
import json
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest.mock import patch

from mistralai.extra.workflows.encoding.payload_encoder import PayloadEncoder
from mistralai.workflows.core._events import event_context
from mistralai.workflows.core.config.config import PayloadOffloadingConfig, config
from mistralai.workflows.core.encoding.fields_offloader import (
    FieldsOffloader,
    OffloadableField,
    OffloadableModel,
)
from mistralai.workflows.core.temporal import payload_codec
from mistralai.workflows.plugins._discovery import collect_plugin_interceptors

from mistral_offload.official.encoder import EngineEncoder
from mistral_offload.official.events import EventReferences, restore_encoding
from mistral_offload.official.fields import restore_methods

Codec = payload_codec.MistralWorkflowsPayloadCodec
REFERENCES = {"MISTRAL_OFFLOAD_EVENTS": "reference"}
OFFLOAD = FieldsOffloader.offload_if_needed


class Lines(logging.Handler):
    """Keeps what is logged."""

    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(f"{record.levelname} {record.getMessage()}")


@contextmanager
def logged() -> Iterator[list[str]]:
    """Collect what this package logs."""
    lines = Lines()
    names = ("mistral_offload", "mistralai.workflows.plugins.mistral_offload_official")
    for name in names:
        logging.getLogger(name).addHandler(lines)
    yield lines.lines
    for name in names:
        logging.getLogger(name).removeHandler(lines)


def begin() -> dict[str, object]:
    """Collect the plugins' interceptors as a worker does, and say what came of it."""
    with logged() as lines:
        interceptors = collect_plugin_interceptors([])
    told = {
        "interceptors": len(interceptors),
        "encoder": isinstance(Codec(None, None).payload_encoder, EngineEncoder),
        "fields": FieldsOffloader.offload_if_needed is not OFFLOAD,
        "events": isinstance(event_context.maybe_encode_event, EventReferences),
        "lines": lines,
    }
    restore_encoding()
    if "payload_encoder" in vars(Codec):
        del Codec.payload_encoder
        restore_methods()
    return told


def starts() -> Iterator[tuple[str, dict[str, object]]]:
    """Start under different circumstances."""
    for name, variables in {
        "off": {"MISTRAL_OFFLOAD_OFFICIAL": "off"},
        "neither": {"MISTRAL_OFFLOAD_OFFICIAL": "perhaps"},
        "unknown": {"MISTRAL_OFFLOAD_CASH_DIRECTORY": "/tmp"},
        "wrong": {"MISTRAL_OFFLOAD_CONNECTIONS": "many"},
        "broken list": {"MISTRAL_OFFLOAD_READ_ALSO": "old"},
        "events whole": {"MISTRAL_OFFLOAD_EVENTS": "full"},
        "events off": {"MISTRAL_OFFLOAD_EVENTS": "off"},
        "events": REFERENCES,
    }.items():
        with patch.dict(os.environ, variables):
            yield name, begin()
    with patch.dict(sys.modules, {"mistral_offload.official.worker": None}):
        yield "not importable", begin()
    with patch.dict(sys.modules, {"google.cloud.storage": None, "google.cloud": None}):
        storage = config.worker.temporal_payload_offloading.storage_config
        with patch.multiple(storage, storage_provider="gcs", bucket_id="b"):
            yield "package missing", begin()
    with patch.object(Codec, "_encode", unused):
        yield "other seam", begin()
    with patch.object(PayloadEncoder, "decode_payload_content", None):
        yield "no method", begin()
    with patch.object(FieldsOffloader, "restore_if_needed", None):
        yield "no fields method", begin()
    with patch.dict(os.environ, REFERENCES):
        with patch.object(event_context, "maybe_encode_event", None):
            yield "events: no function", begin()
        with patch.object(event_context.EventContext, "_publish_events_batch_internal", post_whole):
            yield "events: other seam", begin()
        with patch.object(config.worker, "temporal_payload_offloading", None):
            yield "events: no store", begin()
    yield "as expected", begin()


async def post_whole(self: Any, events: list[Any], already_encoded: bool = False) -> None:
    """Post without encoding."""
    for event in events:
        await self.events_client.send_event_async(event=event.model_dump(mode="json"))


async def unused(self: Any, payload: Any) -> Any:
    """Encode without the attribute."""
    return payload


class Report(OffloadableModel):
    """A model with a field."""

    raw: OffloadableField[bytes] | None = None


async def failures() -> dict[str, str]:
    """Return the classes and texts of errors that users may handle."""
    from mistral_offload.official.worker import install

    assert install()
    offloading = config.worker.temporal_payload_offloading
    encoder = Codec(offloading, None).payload_encoder
    fields = FieldsOffloader(offloading)
    digest = "0" * 64
    namespace = config.temporal.namespace
    found: dict[str, str] = {}

    async def note(name: str, work: Any) -> None:
        try:
            await work
        except Exception as error:
            found[name] = f"{type(error).__name__}: {error}"

    def reference(namespace: str) -> bytes:
        return json.dumps({"key": f"temporal-payload/{namespace}/e/sha256:{digest}"}).encode()

    await note("missing", encoder.decode_payload_content(reference(namespace), ["offloaded"]))
    await note("foreign", encoder.decode_payload_content(reference("x"), ["offloaded"]))
    await note("any key", encoder.decode_payload_content(b'{"key":"secrets"}', ["offloaded"]))
    await note("no keys", encoder.decode_payload_content(b"x" * 40, ["encrypted"]))
    plain = Codec(None, None).payload_encoder
    await note("no store", plain.decode_payload_content(reference(namespace), ["offloaded"]))
    await note("not compressed", plain.decode_payload_content(b"x", ["compressed"]))
    for name, key in {
        "field": f"temporal-activity-payload/{namespace}/r/sha256:{digest}/bytes-1/raw",
        "field elsewhere": "secrets",
    }.items():
        report = Report(raw=OffloadableField[bytes](value=None, blob_ref=key))
        await note(name, fields.restore_if_needed(report))
    # Not UTF-8, and optional: the official engine can do neither.
    report = Report(raw=OffloadableField[bytes](value=b"\xff" * 2_000_000))
    moved = await fields.offload_if_needed(report, namespace, "run")
    assert report.raw is not None
    assert report.raw.value is not None  # not changed
    restored = await fields.restore_if_needed(moved)
    found["bytes"] = str(restored == report and moved.raw.blob_ref is not None)
    return found


if __name__ == "__main__":
    assert isinstance(config.worker.temporal_payload_offloading, PayloadOffloadingConfig)
    told = dict(starts())
    print(json.dumps({"starts": told, "failures": asyncio.run(failures())}))
