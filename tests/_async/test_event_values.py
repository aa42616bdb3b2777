"""Values of events that are encoded: read when the client can, handed over as they are if not."""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from mistral_offload import BlobStorageConfig, Mistral, PayloadOffloadingConfig
from mistral_offload.config import PayloadEncryptionConfig
from mistral_offload.errors import StorageUnavailableError
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded_payload import EncodedPayload
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage import open_store
from mistral_offload.storage.cache import BlobCache
from tests._async.recorder import Recording, make_client
from tests.api.bodies import Chunks, opened

CONTEXT = PayloadContext("acme", "e-1")
ENCRYPTION = PayloadEncryptionConfig(mode="full", main_key="8f" * 32)
PATCHES = [{"op": "append", "path": "/text", "value": "x" * 2_000}]


def offloading(path: Path) -> PayloadOffloadingConfig:
    storage = BlobStorageConfig(storage_provider="local", path=path, cache_memory_bytes=0)
    return PayloadOffloadingConfig(storage_config=storage, min_size_bytes=1024)


def encoded(payload: EncodedPayload, kind: str = "json") -> dict[str, Any]:
    """Return a payload as the attribute of an event."""
    return {
        "type": kind,
        "value": base64.b64encode(payload.data).decode(),
        "encoding_options": [option.value for option in payload.options],
    }


def event(number: int, kind: str, **attributes: Any) -> dict[str, Any]:
    names = ("event_id", "root_workflow_exec_id", "workflow_exec_id", "workflow_run_id")
    return {
        **dict.fromkeys(names, f"{number}"),
        "event_timestamp": number,
        "parent_workflow_exec_id": None,
        "workflow_name": "w",
        "event_type": kind,
        "attributes": {"custom_task_id": "t", "custom_task_type": "k", **attributes},
    }


def completed(number: int, payload: dict[str, Any]) -> dict[str, Any]:
    return event(number, "CUSTOM_TASK_COMPLETED", payload=payload)


def client_of(*events: dict[str, Any], **settings: Any) -> Mistral:
    body = {"events": list(events), "next_cursor": None}
    return make_client(Recording([httpx.Response(200, json=body)]), namespace="acme", **settings)


def encoder_of(path: Path, encryption: PayloadEncryptionConfig | None = None) -> PayloadEncoder:
    return PayloadEncoder(offloading(path), encryption=encryption)


def large(encoder: PayloadEncoder, text: str) -> dict[str, Any]:
    payload = encoder.encode_value({"text": text * 2_000}, CONTEXT)
    assert payload.is_offloaded
    return encoded(payload)


async def collect_async(events: AsyncIterator[Any]) -> list[Any]:
    found: list[Any] = []
    async for each in events:
        found.append(each)
    return found


def frame(document: dict[str, Any]) -> bytes:
    context = {"namespace": "acme", "workflow_name": "w", "workflow_exec_id": "e-1"}
    data = {"stream": "s", "data": document, "workflow_context": context, "broker_sequence": 1}
    return b"data: " + httpx.Response(200, json=data).content + b"\n\n"


async def test_references_are_read_in_lists_and_streams(tmp_path: Path) -> None:
    encoder = encoder_of(tmp_path)
    events = [completed(number, large(encoder, str(number))) for number in range(20)]
    patches = encoder.encode_value(PATCHES, CONTEXT)
    events.append(event(20, "CUSTOM_TASK_IN_PROGRESS", payload=encoded(patches, "json_patch")))
    client = client_of(*events, workflow_payload_offloading=offloading(tmp_path))
    page = await client.workflows.events.get_workflow_events_async()
    *plain, patched = (each.attributes.payload for each in page.events)
    assert [each.value["text"] for each in plain] == [str(n) * 2_000 for n in range(20)]
    assert not any(each.is_encoded for each in (*plain, patched))
    assert [each.op for each in patched.value] == ["append"]
    assert await collect_async(client.workflows.events.get_workflow_events_iter_async()) == (
        page.events
    )

    streamed = make_client(
        Recording([opened(Chunks([frame(each) for each in events]))]),
        workflow_payload_offloading=offloading(tmp_path),
    )
    stream = await streamed.workflows.executions.stream_async("e-1")
    assert [each.data.data async for each in stream if each.data] == page.events


async def test_without_a_store_events_keep_their_references(tmp_path: Path) -> None:
    reference = large(encoder_of(tmp_path), "a")
    broken = {"type": "json", "value": "a", "encoding_options": ["offloaded"]}
    plain = {"type": "json", "value": 1, "encoding_options": None}
    client = client_of(completed(1, reference), completed(2, plain), completed(3, broken))
    page = await client.workflows.events.get_workflow_events_async()
    first, second, third = (each.attributes.payload for each in page.events)
    assert first.model_dump() == reference
    assert first.is_encoded
    assert "no offloading is configured here" in first.decode_error
    assert (second.value, second.is_encoded, second.decode_error) == (1, False, None)
    assert "not base64" in third.decode_error


async def test_a_missing_blob_hides_no_other_event(tmp_path: Path) -> None:
    encoder = encoder_of(tmp_path)
    gone, kept = large(encoder, "a"), large(encoder, "b")
    store = open_store(offloading(tmp_path).storage_config)
    (missing,) = (blob.key for blob in store.list() if b"aaa" in store.get(blob.key))
    store.delete(missing)
    client = client_of(
        completed(1, gone),
        completed(2, kept),
        workflow_payload_offloading=offloading(tmp_path),
    )
    page = await client.workflows.events.get_workflow_events_async()
    first, second = (each.attributes.payload for each in page.events)
    assert first.model_dump() == gone
    assert missing in first.decode_error
    assert second.value == {"text": "b" * 2_000}


async def test_an_outage_is_waited_out_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoder, reads = encoder_of(tmp_path), list[str]()
    events = [completed(number, large(encoder, str(number))) for number in range(40)]
    client = client_of(*events, workflow_payload_offloading=offloading(tmp_path))

    def fail(cache: BlobCache, key: str, *args: object, **kwargs: object) -> bytes:
        reads.append(key)
        raise StorageUnavailableError("no response", provider="s3", container="b", key=key)

    with monkeypatch.context() as patch:
        patch.setattr(BlobCache, "get", fail)
        page = await client.workflows.events.get_workflow_events_async()
    assert len(reads) <= 8
    payloads = [each.attributes.payload for each in page.events]
    assert all("no response" in each.decode_error for each in payloads)
    again = await client.workflows.events.decode_event_async(page.events[39])
    assert again.attributes.payload.value == {"text": "39" * 2_000}
    assert payloads[39].is_encoded


async def test_a_list_that_reads_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    reference = large(encoder_of(tmp_path), "a")
    unknown = {**completed(2, reference), "event_type": "NEW"}
    client = client_of(
        completed(1, reference), unknown, workflow_payload_offloading=offloading(tmp_path)
    )
    events = client.workflows.events
    page = await events.get_workflow_events_async(decode_payloads=False)
    listed = await collect_async(events.get_workflow_events_iter_async(decode_payloads=False))
    assert listed == page.events
    first, second = page.events
    assert first.attributes.payload.value == second.attributes["payload"]["value"]
    assert first.attributes.payload.decode_error is None
    decoded = [(await events.decode_event_async(each)).model_dump() for each in listed]
    assert [each["attributes"]["payload"]["value"] for each in decoded] == (
        [{"text": "a" * 2_000}] * 2
    )


def failure_of(encoder: PayloadEncoder) -> dict[str, Any]:
    payload = encoder.encode_value({"message": "no page 3", "stack_trace": "at 7"}, None)
    metadata = {"encoding": b"binary/encrypted", "encoding_options": b"encrypted"}
    return {
        "message": "Encoded failure",
        "encodedAttributes": {
            "metadata": {k: base64.b64encode(v).decode() for k, v in metadata.items()},
            "data": base64.b64encode(payload.data).decode(),
        },
    }


async def test_an_encrypted_failure_is_read() -> None:
    failure = failure_of(PayloadEncoder(encryption=ENCRYPTION))
    document = event(1, "CUSTOM_TASK_FAILED", failure=failure)
    with_key = client_of(document, workflow_payload_encryption=ENCRYPTION)
    (read,) = (await with_key.workflows.events.get_workflow_events_async()).events
    assert read.attributes.failure.message == "no page 3"
    assert read.attributes.failure.decode_error is None
    (lazy,) = await collect_async(with_key.workflows.events.get_workflow_events_iter_async())
    assert lazy == read

    (kept,) = (await client_of(document).workflows.events.get_workflow_events_async()).events
    assert kept.attributes.failure.model_dump() == failure
    assert "no encryption is configured here" in kept.attributes.failure.decode_error


async def test_references_in_traces_are_read(tmp_path: Path) -> None:
    reference = large(encoder_of(tmp_path), "a")
    step = {"name": "n", "id": "i", "timestamp_unix_nano": 1, "attributes": {"input": reference}}
    body = {
        **dict.fromkeys(("workflow_name", "execution_id", "root_execution_id"), "x"),
        "status": "RUNNING",
        "start_time": "2026-01-02T03:04:05Z",
        "end_time": None,
        "result": None,
        "events": [step],
    }
    for settings, value in (
        ({"workflow_payload_offloading": offloading(tmp_path)}, {"text": "a" * 2_000}),
        ({}, reference["value"]),
    ):
        client = make_client(Recording([httpx.Response(200, json=body)]), **settings)
        trace = await client.workflows.executions.get_workflow_execution_trace_events_async("e-1")
        assert trace.events[0].attributes["input"]["value"] == value
