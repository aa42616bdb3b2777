# Generated from tests/_async/test_failures.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 565105710fdfc249

"""The original failure of an execution: its type, its message, and those of its causes."""

from __future__ import annotations

import base64
from typing import Any

import httpx
import pytest

from mistral_offload import BlobStorageConfig, PayloadEncryptionConfig, PayloadOffloadingConfig
from mistral_offload.errors import BadRequestError, WorkflowFailedError
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded_payload import EncodedPayload
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.payload.envelope import write_envelope
from mistral_offload.payload.jsontext import load_json
from tests._sync.recorder import Recording, execution, make_client

FULL = PayloadEncryptionConfig(mode="full", main_key="5a" * 32)
OTHER = PayloadEncryptionConfig(mode="full", main_key="5b" * 32)
TORN = {"message": "page 7 is torn", "stack_trace": "in read_page"}
DISK = {"message": "disk full", "stack_trace": ""}


def as_temporal_json(payload: EncodedPayload) -> dict[str, Any]:
    """Return a payload as Temporal writes it: bytes as base64."""
    metadata = {"encoding": "binary/encoded", "encoding-orig": "json/plain"}
    metadata["encoding_options"] = ",".join(option.value for option in payload.options)
    if metadata["encoding_options"] == "encrypted":  # as the official worker's codec
        metadata = {"encoding": "binary/encrypted", "encoding-orig": "json/plain"}
    return {
        "metadata": {
            name: base64.b64encode(text.encode()).decode() for name, text in metadata.items()
        },
        "data": base64.b64encode(payload.data).decode(),
    }


def as_envelope(payload: EncodedPayload) -> Any:
    return load_json(write_envelope(payload))


def chain(encode: Any, encoder: PayloadEncoder, context: PayloadContext | None) -> dict[str, Any]:
    """Return the failure of an activity that raised one error from another one."""
    offload = True if encoder.offloads else None
    texts = [
        encode(encoder.encode(PayloadEncoder().encode_value(each, None).data, context, **options))
        for each, options in ((TORN, {"offload": offload}), (DISK, {}))
    ]
    return {
        "message": "Activity task failed",
        "activityFailureInfo": {"activityType": {"name": "read"}},
        "cause": {
            "message": "Encoded failure",
            "applicationFailureInfo": {"type": "TornPageError"},
            "encodedAttributes": texts[0],
            "cause": {
                "message": "Encoded failure",
                "application_failure_info": {"type": "OSError"},
                "encoded_attributes": texts[1],
            },
        },
    }


def failed_with(failure: Any, *, held: bool = False, **settings: Any) -> WorkflowFailedError:
    body = execution("FAILED", failure=failure)
    responses = (
        [httpx.Response(400, json={**body, "detail": "Encoded failure"})]
        if held
        else [httpx.Response(200, json=body)]
    )
    client = make_client(Recording(responses), namespace="n", **settings)
    if held:
        with pytest.raises(WorkflowFailedError) as caught:
            client.workflows.execute_workflow_and_wait("w")
    else:
        with pytest.raises(WorkflowFailedError) as caught:
            client.workflows.wait_for_workflow_completion("e-1")
    return caught.value


@pytest.mark.parametrize("encode", [as_temporal_json, as_envelope])
@pytest.mark.parametrize("held", [False, True])
def test_encrypted_texts_of_a_failure_and_its_causes(encode: Any, held: bool) -> None:
    failure = chain(encode, PayloadEncoder(encryption=FULL), None)
    error = failed_with(failure, held=held, workflow_payload_encryption=FULL)
    assert (error.failure_type, error.reason) == ("TornPageError", "page 7 is torn")
    assert error.causes == (("OSError", "disk full"),)
    assert str(error).endswith("FAILED: TornPageError: page 7 is torn")


def test_texts_of_a_failure_in_the_store(tmp_path: Any) -> None:
    storage = BlobStorageConfig(storage_provider="local", path=tmp_path)
    settings = PayloadOffloadingConfig(storage_config=storage)
    encoder = PayloadEncoder(settings, encryption=FULL)
    failure = chain(as_temporal_json, encoder, PayloadContext("n", "e-1"))
    error = failed_with(
        failure, workflow_payload_offloading=settings, workflow_payload_encryption=FULL
    )
    assert error.reason == "page 7 is torn"


@pytest.mark.parametrize(
    ("keys", "remedy"), [(None, "workflow_payload_encryption"), (OTHER, "retired_keys")]
)
def test_without_the_key_the_type_is_kept_and_the_text_says_what_is_missing(
    keys: PayloadEncryptionConfig | None, remedy: str
) -> None:
    failure = chain(as_temporal_json, PayloadEncoder(encryption=FULL), None)
    error = failed_with(failure, workflow_payload_encryption=keys)
    assert error.failure_type == "TornPageError"
    assert "Encoded failure" in str(error)
    assert remedy in str(error)
    assert "torn" not in str(error)


@pytest.mark.parametrize(
    "failure",
    [
        None,
        "torn",
        [],
        {"message": 3},
        {
            "message": None,
            "encodedAttributes": {"metadata": {"encoding_options": "eA=="}, "data": ""},
        },
        {"encodedAttributes": {"metadata": {"encoding": "***"}, "data": "x"}},
        {"encodedAttributes": {"metadata": [], "data": "e30="}},
        {"encodedAttributes": {"metadata": {}, "data": "e30="}},
        {"encodedAttributes": {"b64payload": "x", "encoding_options": []}, "cause": 3},
    ],
)
def test_a_failure_of_another_form_is_still_a_failed_workflow(failure: Any) -> None:
    error = failed_with(failure)
    assert (error.status, error.reason, error.causes) == ("FAILED", None, ())


def test_texts_that_are_not_encrypted_need_no_keys() -> None:
    payload = PayloadEncoder().encode_value(TORN, None)
    failure = {"message": "Encoded failure", "encodedAttributes": as_temporal_json(payload)}
    assert (failed_with(failure)).reason == "page 7 is torn"


@pytest.mark.parametrize("encode", [as_temporal_json, as_envelope])
@pytest.mark.parametrize("keys", [FULL, OTHER])
def test_encrypted_texts_of_a_failed_query_and_update(
    encode: Any, keys: PayloadEncryptionConfig
) -> None:
    failure = chain(encode, PayloadEncoder(encryption=FULL), None)
    body = {"detail": "Encoded failure", "execution_id": "e-1", "failure": failure}
    recording = Recording([httpx.Response(400, json=body)])
    client = make_client(recording, namespace="n", workflow_payload_encryption=keys)
    executions = client.workflows.executions
    for call, arguments in (
        (executions.query_workflow_execution, {}),
        (executions.update_workflow_execution, {"input": {"page": 7}}),
    ):
        with pytest.raises(BadRequestError) as caught:
            call("e-1", name="page", **arguments)
        if keys is FULL:
            assert "failed: TornPageError: page 7 is torn: HTTP 400" in str(caught.value)
        else:
            assert "failed: TornPageError: Encoded failure (its text cannot" in str(caught.value)
            assert "retired_keys" in str(caught.value)
            assert "torn" not in str(caught.value)
