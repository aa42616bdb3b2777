"""Files of a client: stored before the request leaves, and read from results."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import httpx
import pytest
from pydantic import BaseModel

from mistral_offload import OffloadableFile
from mistral_offload.config import (
    BlobStorageConfig,
    FieldOffloadingConfig,
    PayloadOffloadingConfig,
)
from mistral_offload.errors import PayloadSerializationError
from mistral_offload.payload.envelope import read_envelope
from mistral_offload.storage import open_store
from tests._async.recorder import Recording, execution, make_client


class Talk(BaseModel):
    title: str
    audio: OffloadableFile


def storage(path: Path) -> BlobStorageConfig:
    return BlobStorageConfig(storage_provider="local", path=path)


@pytest.mark.parametrize("apart", [False, True])
async def test_a_file_is_stored_before_the_request_and_read_from_the_result(
    tmp_path: Path, apart: bool
) -> None:
    sent: dict[str, Any] = {}

    def respond(request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content)
        payload = read_envelope(body["encoded_input"])
        assert payload is not None
        value = json.loads(payload.data)
        sent.update(value, execution_id=body["execution_id"])
        result = {"title": "back", "audio": value["audio"]}
        return httpx.Response(200, json=execution(result=result) | {"execution_id": "e"})

    (tmp_path / "talk.wav").write_bytes(b"a talk")
    fields = FieldOffloadingConfig(storage_config=storage(tmp_path / "files"))
    client = make_client(
        Recording([respond]),
        namespace="ns",
        workflow_payload_offloading=PayloadOffloadingConfig(storage_config=storage(tmp_path / "b")),
        field_offloading=fields if apart else None,
    )
    audio = OffloadableFile.from_path(tmp_path / "talk.wav")
    started = await client.workflows.execute_workflow_async(
        "talks",
        input=Talk(title="to", audio=audio),
        wait_for_result=True,
        result_type=Talk,
    )
    key = sent["audio"]["blob_ref"]
    assert key.startswith(f"temporal-activity-payload/ns/@{sent['execution_id']}/sha256:")
    assert open_store(storage(tmp_path / ("files" if apart else "b"))).get(key) == b"a talk"
    found = started.result.audio
    assert (found.name, found.size_bytes, found.content_type) == ("talk.wav", 6, "audio/x-wav")
    with found.open() as content:
        assert content.read() == b"a talk"


async def test_without_storage_a_file_is_refused(tmp_path: Path) -> None:
    recording = Recording([])
    client = make_client(recording)
    (tmp_path / "talk.wav").write_bytes(b"a talk")
    audio = OffloadableFile.from_path(tmp_path / "talk.wav")
    with pytest.raises(PayloadSerializationError, match=r"talk\.wav.*is not stored"):
        await client.workflows.execute_workflow_async("talks", input={"audio": audio})
    assert not recording.requests
