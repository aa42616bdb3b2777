"""Inputs that would arrive as something else are refused; so are results that cannot be read."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import httpx
import pydantic
import pytest

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import PayloadDecodeError, PayloadSerializationError
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.envelope import write_envelope
from mistral_offload.payload.jsontext import load_json
from mistral_offload.payload.reference import Reference
from tests._async.calls import call_async
from tests._async.recorder import Recording, execution, make_client


class Login(pydantic.BaseModel):
    user: str
    password: pydantic.SecretStr = pydantic.SecretStr("hunter2")
    rate: float | None = None


@pytest.mark.parametrize("offloads", [True, False])
@pytest.mark.parametrize(
    ("value", "words"),
    [
        (Login(user="u"), "input.password: a SecretStr"),
        (
            Login(user="u", password=pydantic.SecretStr(""), rate=math.nan),
            "input.rate: nan would arrive as null",
        ),
        ({"title": object()}, "cannot be written as JSON: input.title: "),
        ({"rows": [{"b": "x"}, {"b": {1, object()}}]}, "JSON: input.rows.1.b."),
        ([{"a": "\ud800"}], "JSON: input.0.a: "),
        ({"n": [10**5000]}, "input.n.0: an integer has 5,001 digits"),
    ],
)
async def test_an_input_that_would_be_lost_is_refused(
    value: Any, words: str, offloads: bool, tmp_path: Path
) -> None:
    recording = Recording([])
    storage = BlobStorageConfig(storage_provider="local", path=tmp_path)
    offloading = PayloadOffloadingConfig(storage_config=storage) if offloads else None
    client = make_client(recording, workflow_payload_offloading=offloading, namespace="n")
    calls: list[tuple[str, dict[str, Any]]] = [
        ("workflows.execute_workflow", {"workflow_identifier": "w", "input": value}),
        (
            "workflows.schedules.schedule_workflow",
            {"workflow_identifier": "w", "schedule": {"input": value}},
        ),
        *(
            (f"workflows.executions.{kind}_workflow_execution", handler)
            for kind in ("signal", "query", "update")
            for handler in [{"execution_id": "e-1", "name": "h", "input": value}]
        ),
    ]
    for operation, arguments in calls:
        with pytest.raises(PayloadSerializationError) as caught:
            await call_async(client, operation, arguments)
        assert str(caught.value).startswith("the input of ")
        assert words in str(caught.value)
        assert "hunter2" not in str(caught.value)
    assert recording.requests == []


async def test_an_offloaded_result_that_no_reader_accepts_is_an_error(tmp_path: Path) -> None:
    storage = BlobStorageConfig(storage_provider="local", path=tmp_path)
    offloading = PayloadOffloadingConfig(storage_config=storage)
    context = PayloadContext("n", "e-1")
    for text, words in ((b"[" * 100_000 + b"]" * 100_000, "key"), (b"1" * 5000, "cannot be read")):
        encoded = PayloadEncoder(offloading).encode(text, context, offload=True)
        body = execution(result=load_json(write_envelope(encoded)))
        client = make_client(
            Recording([httpx.Response(200, json=body)]), workflow_payload_offloading=offloading
        )
        with pytest.raises(PayloadDecodeError, match=words) as caught:
            await client.workflows.executions.get_workflow_execution_async("e-1")
        assert Reference.from_json(encoded.data).key in str(caught.value)
