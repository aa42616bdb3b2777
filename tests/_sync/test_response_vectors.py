# Generated from tests/_async/test_response_vectors.py. Do not edit: change that file, then run
#     python -m codegen.sync_twin
# sha256 of the rest: 9f2be04303e2c612

"""Parsed responses of every operation, against the official client."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
from mistral_offload.errors import (
    BlobNotFoundError,
    EncryptionNotConfiguredError,
    MistralOffloadError,
    OffloadingNotConfiguredError,
    PayloadDecryptionError,
    ResponseValidationError,
)
from mistral_offload.storage import open_store
from tests._sync.calls import call, recorded
from tests._sync.recorder import Recording, make_client
from tests.vectors import (
    Case,
    Differences,
    b64,
    compression_of,
    encryption_of,
    load,
    parameters,
)

DIFFERENCES = Differences(
    {
        "events/unknown_event_type": "an event of a new kind is kept as it came",
        "not_decoded/*": "results of runs and traces are decoded, too",
        "history_not_decoded": "histories are decoded, too",
        "error/non_json_result_bytes": "bytes that are not JSON are handed over as bytes",
        "error/offloaded_without_storage": "named for what is missing",
        "no_encoding_configured/*": "an encoded result is never handed over as if it were one",
        "schedule/get/options_empty_not_decoded": "what was sent as an envelope is read as a value",
        "events/offloaded_payload": "a reference to a key that is no payload's is refused",
        "events/error_undecryptable": "one value that cannot be read does not hide the events",
    }
)

ERRORS: dict[str, type[MistralOffloadError]] = {
    "WorkflowPayloadEncryptionException": PayloadDecryptionError,
    "BlobNotFoundError": BlobNotFoundError,
    "WorkflowPayloadOffloadingException": OffloadingNotConfiguredError,
    "ResponseValidationError": ResponseValidationError,
}


def cases() -> list[Case]:
    return load("rest_responses")


def call_case(case: Case, path: Path) -> Any:
    """Call the operation of a case, with its blobs in the store and its recorded response."""
    config = case.get("encoding") or {}
    settings: dict[str, Any] = {
        "namespace": case.get("namespace"),
        "workflow_payload_encryption": encryption_of(config),
        "workflow_payload_compression": compression_of(config),
    }
    if offloading := config.get("offloading"):
        storage = BlobStorageConfig(storage_provider="local", path=path)
        settings["workflow_payload_offloading"] = PayloadOffloadingConfig(
            storage_config=storage, **offloading
        )
        for key, blob in case["blobs"].items():
            open_store(storage).put(key, b64(blob))
    recording = Recording([recorded(case["response"])])
    client = make_client(recording, retry_config=None, **settings)
    return call(client, case["operation"], case["kwargs"])


@pytest.mark.parametrize(
    "case", parameters(case for case in cases() if case["name"] not in DIFFERENCES)
)
def test_answer(case: Case, tmp_path: Path) -> None:
    expected = case["expected"]
    if "error" in expected:
        with pytest.raises(ERRORS[expected["error"]["class"]]):
            call_case(case, tmp_path)
        return
    model = call_case(case, tmp_path)
    if isinstance(model, BaseModel):
        assert expected["type"] in {kind.__name__ for kind in type(model).__mro__}
        model = model.model_dump(mode="json", by_alias=True)
    missing = differences(expected["value"], model, case["response"].get("body"))
    assert not missing


def differences(expected: Any, model: Any, sent: Any, place: str = "") -> list[str]:
    """List the differences; a field the official client hides may be unset or as sent."""
    if isinstance(expected, dict) and isinstance(model, dict):
        sent = sent if isinstance(sent, dict) else {}
        found = [
            problem
            for name, value in expected.items()
            for problem in differences(
                value, model.get(name, "missing"), sent.get(name), f"{place}.{name}"
            )
        ]
        more = {name: value for name, value in model.items() if name not in expected}
        return found + [
            f"{place}.{name}: {value!r} is too much"
            for name, value in more.items()
            if value is not None and value != [] and value != {} and name not in sent
        ]
    if isinstance(expected, list) and isinstance(model, list) and len(expected) == len(model):
        if not isinstance(sent, list) or len(sent) != len(expected):
            sent = [None] * len(expected)
        return [
            problem
            for index, items in enumerate(zip(expected, model, sent, strict=True))
            for problem in differences(*items, f"{place}[{index}]")
        ]
    return [] if expected == model else [f"{place}: {expected!r} is {model!r}"]


# Intended differences


def named(name: str) -> Case:
    (case,) = (case for case in load("rest_responses") if case["name"] == name)
    return case


def test_unknown_kinds_of_events_are_kept(tmp_path: Path) -> None:
    case = named("events/unknown_event_type")
    (event,) = (call_case(case, tmp_path)).events
    (sent,) = case["response"]["body"]["events"]
    assert event.event_type == sent["event_type"]
    assert event.attributes == sent["attributes"]


@pytest.mark.parametrize("name", ["get_run", "trace_summary", "trace_events"])
def test_results_are_decoded_everywhere(name: str, tmp_path: Path) -> None:
    model = call_case(named(f"not_decoded/{name}"), tmp_path)
    assert model.result["out"]["vip"] is True


def test_histories_are_decoded(tmp_path: Path) -> None:
    history = call_case(named("history_not_decoded"), tmp_path)
    assert history["events"][0]["result"]["out"]["vip"] is True


def test_histories_stay_as_temporal_keeps_them_when_asked(tmp_path: Path) -> None:
    case = named("history_not_decoded")
    plain = {**case, "kwargs": {**case["kwargs"], "decode_payloads": False}}
    assert call_case(plain, tmp_path) == case["response"]["body"]


def test_one_broken_value_does_not_hide_a_history(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = named("history_not_decoded")
    (good,) = case["response"]["body"]["events"]
    broken = {"result": {"b64payload": "AAAA", "encoding_options": ["encrypted"]}}
    body = {"events": [broken, good]}
    with caplog.at_level(logging.WARNING):
        history = call_case({**case, "response": {**case["response"], "body": body}}, tmp_path)
    assert history["events"][0] == broken
    assert history["events"][1]["result"]["out"]["vip"] is True
    assert "get_workflow_execution_history" in caplog.text


def test_bytes_that_are_no_json_are_handed_over(tmp_path: Path) -> None:
    model = call_case(named("error/non_json_result_bytes"), tmp_path)
    assert isinstance(model.result, bytes)


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("error/offloaded_without_storage", OffloadingNotConfiguredError),
        ("no_encoding_configured/encoded_result_left_as_is", EncryptionNotConfiguredError),
    ],
)
def test_what_cannot_be_read_is_an_error(name: str, error: type[Exception], tmp_path: Path) -> None:
    with pytest.raises(error):
        call_case(named(name), tmp_path)


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("events/offloaded_payload", "refused"),
        ("events/error_undecryptable", "cannot be decrypted"),
    ],
)
def test_what_cannot_be_read_in_an_event_stays_encoded(
    name: str, reason: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    case = named(name)
    with caplog.at_level(logging.WARNING):
        page = call_case(case, tmp_path)
    assert [event.model_dump(exclude_unset=True) for event in page.events] == (
        case["response"]["body"]["events"]
    )
    (error,) = (
        payload.decode_error
        for event in page.events
        for _, payload in event.attributes
        if getattr(payload, "decode_error", None)
    )
    assert reason in error
    assert caplog.text.count("get_workflow_events: a value of an event was left encoded") == 1


def test_the_input_of_a_schedule_is_read_as_it_was_given(tmp_path: Path) -> None:
    model = call_case(named("schedule/get/options_empty_not_decoded"), tmp_path)
    assert model.input["day"] == "today"


def test_unknown_members_are_kept_at_any_depth() -> None:
    from mistral_offload.api.models import WorkflowGetResponse

    members = next(
        case["response"]["body"]["workflow"]
        for case in load("rest_responses")
        if case["name"] == "workflows.get_workflow/minimal_0"
    )
    model = WorkflowGetResponse.model_validate({"workflow": {**members, "new": 1}})
    assert model.workflow.model_extra == {"new": 1}


def test_listed_differences_exist() -> None:
    assert not DIFFERENCES.unused(cases())
