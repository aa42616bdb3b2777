# Generated from tests/_async/test_encryption.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 77b95c885bbd2945

"""Encryption and compression in a client, and end to end on real servers."""

from __future__ import annotations

import json
import logging
import traceback
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from mistral_offload import (
    BlobStorageConfig,
    EncryptedStrField,
    Mistral,
    PayloadCompressionConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
)
from mistral_offload.devserver import LocalPlatform
from mistral_offload.errors import (
    EncryptionNotConfiguredError,
    MistralOffloadError,
    PayloadDecryptionError,
    PayloadEncryptionError,
    PayloadTooLargeError,
    WorkflowFailedError,
)
from mistral_offload.limits import MIB
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.envelope import read_envelope, write_envelope
from mistral_offload.storage import open_store
from tests._sync.recorder import Recording, execution, make_client
from tests.servers.seaweed import Seaweed
from tests.servers.temporal_reader import TemporalReader
from tests.servers.worker import WorkerProcess

KEY = "8f" * 32
OLD_KEY = "3c" * 16
MARKER = "5ec4e7-in-clear-text"
FULL = PayloadEncryptionConfig(mode="full", main_key=KEY)
WORKER = Path(__file__).parents[1] / "workers" / "secretive.py"


def test_without_offloading_nobody_is_asked_for_a_namespace() -> None:
    result = PayloadEncoder(encryption=FULL).encode_value({"seen": MARKER}, None)
    response = execution(result=json.loads(write_envelope(result)))
    recording = Recording([httpx.Response(200, json=response)])
    client = make_client(recording, workflow_payload_encryption=FULL)
    started = client.workflows.execute_workflow("w", input={"text": MARKER}, wait_for_result=True)
    assert started.result == {"seen": MARKER}
    (request,) = recording.requests
    body = json.loads(request.content)
    assert body["input"] is None
    assert body["encoded_input"]["encoding_options"] == ["encrypted"]
    payload = read_envelope(body["encoded_input"])
    assert payload is not None
    assert PayloadEncoder(encryption=FULL).decode_value(payload) == {"text": MARKER}


def test_marked_fields_of_an_input() -> None:
    recording = Recording([httpx.Response(202, json={})])
    partial = PayloadEncryptionConfig(mode="partial", main_key=KEY)
    client = make_client(recording, workflow_payload_encryption=partial)
    signal = client.workflows.executions.signal_workflow_execution
    signal("e", name="s", input={"pin": EncryptedStrField(data=MARKER), "open": 1})
    (request,) = recording.requests
    sent = read_envelope(json.loads(request.content)["input"])
    assert sent is not None
    assert MARKER.encode() not in sent.data
    assert json.loads(sent.data)["open"] == 1
    with pytest.raises(PayloadEncryptionError):
        signal("e", name="s", input={"field_type": "__encrypted_str__"})
    assert len(recording.requests) == 1


def test_compression_alone_carries_what_it_makes_small_enough() -> None:
    recording = Recording([httpx.Response(200, json=execution("RUNNING"))])
    client = make_client(recording, workflow_payload_compression=PayloadCompressionConfig())
    client.workflows.execute_workflow("w", input="x" * (5 * MIB))
    assert len(recording.requests[0].content) < 10_000
    noise = PayloadEncoder(encryption=FULL).encode(bytes(3 * MIB), None).data
    with pytest.raises(PayloadTooLargeError, match="workflow 'w'"):
        client.workflows.execute_workflow("w", input=noise.hex())
    assert len(recording.requests) == 1


@pytest.mark.parametrize(
    ("encryption", "error"),
    [
        (None, EncryptionNotConfiguredError),
        (PayloadEncryptionConfig(mode="full", main_key=OLD_KEY), PayloadDecryptionError),
    ],
)
def test_a_result_that_cannot_be_opened(
    encryption: PayloadEncryptionConfig | None, error: type[MistralOffloadError]
) -> None:
    result = PayloadEncoder(encryption=FULL).encode_value(MARKER, None)
    response = execution(result=json.loads(write_envelope(result)))
    client = make_client(
        Recording([httpx.Response(200, json=response)]), workflow_payload_encryption=encryption
    )
    with pytest.raises(error, match=r"workflow_payload_encryption|retired_keys"):
        client.workflows.executions.get_workflow_execution("e")


@dataclass
class Stack:
    """A worker and a client that encrypt everything."""

    client: Mistral
    worker: WorkerProcess
    storage: BlobStorageConfig

    def stored(self) -> list[bytes]:
        store = open_store(self.storage)
        return [store.get(blob.key) for blob in store.list()]


@pytest.fixture
def stack(local_platform: LocalPlatform, seaweed: Seaweed) -> Iterator[Stack]:
    storage = {
        "storage_provider": "s3",
        "bucket_name": seaweed.make_bucket(),
        "region_name": seaweed.region_name,
        "endpoint_url": seaweed.endpoint_url,
        "aws_access_key_id": seaweed.access_key,
        "aws_secret_access_key": seaweed.secret_key,
    }
    prefix = "TEMPORAL_PAYLOAD_ENCRYPTION__"
    worker = WorkerProcess(
        local_platform,
        storage,
        script=WORKER,
        # The worker's keys were rotated already, the client's not yet.
        environment={
            f"{prefix}MODE": "full",
            f"{prefix}MAIN_KEY": OLD_KEY,
            f"{prefix}SECONDARY_KEY": KEY,
        },
    )
    config = BlobStorageConfig(**storage)
    client = Mistral(
        local_platform.api_key,
        server_url=local_platform.server_url,
        workflow_payload_offloading=PayloadOffloadingConfig(storage_config=config),
        workflow_payload_encryption=PayloadEncryptionConfig(
            mode="full", main_key=KEY, secondary_key=OLD_KEY
        ),
    )
    yield Stack(client, worker, config)
    worker.stop()


def test_nothing_readable_is_left_anywhere(
    stack: Stack, temporal: TemporalReader, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def run(name: str, **values: Any) -> Any:
        return stack.client.workflows.execute_workflow_and_wait(
            "secretive",
            input=values,
            execution_id=f"{stack.worker.deployment}-{name}",
            deployment_name=stack.worker.deployment,
            timeout_seconds=50,
        )

    with stack.client:
        response = run("good", text=MARKER, fails=False)
        assert response["result"].startswith(MARKER)
        assert len(response["result"]) > 2 * MIB
        with pytest.raises(WorkflowFailedError) as failed:
            run("failed", text=MARKER, fails=True)
        with pytest.raises(WorkflowFailedError) as refused:
            run("refused", text=MARKER, fails=MARKER)

    assert failed.value.failure_type == "ApplicationError"
    assert failed.value.reason == f"said {MARKER[::-1]}"

    histories = [
        temporal.history_data(f"{stack.worker.deployment}-{name}")
        for name in ("good", "failed", "refused")
    ]
    assert all(b"Encoded failure" in history for history in histories)
    blobs = stack.stored()
    assert sum(len(blob) for blob in blobs) > 2 * MIB
    errors = (failed.value, refused.value)
    shown = "".join("".join(traceback.format_exception(error)) for error in errors)
    assert "FAILED" in shown
    log = stack.worker.full_log()
    assert "encryption: full, blobs encrypted, 1 old key" in log
    spellings = [MARKER, MARKER[::-1]]
    for place in (*histories, *blobs):
        assert not any(text.encode() in place for text in spellings)
    # Exception messages are the program's own choice, and Temporal logs them.
    for text in (log, caplog.text, shown):
        assert MARKER not in text
    for key in (KEY, OLD_KEY):
        assert key not in log + caplog.text + shown
