"""The reports of the official worker's recorded cases, as this worker makes them.

Differences are deliberate; each is listed with its reason.
"""

from __future__ import annotations

import asyncio
import base64
import json
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowFailureError

from mistral_offload.config import (
    BlobStorageConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
    StorageProvider,
)
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.encoder import PayloadEncoder
from tests.bounds import until, within
from tests.events.platform import REGISTER, Body
from tests.events.worker import Reporting, reporting_worker
from tests.vectors import Case, load

pytestmark = pytest.mark.server

CASES = {case["name"]: case for case in load("worker_events")}

WITHOUT_COUNTERPART = {
    "*task*": "custom tasks: tests of their own compare them",
    "*search_keys": "definitions have no search keys here",
    "failure/*": "faults of the platform: test_outages",
    "v1/*": "the older routes: test_publisher",
    "offloading/fields": "an activity field's reference has another form; its test is below",
}

DIFFERENCES = {
    "activity_not_retryable": "Temporal does not retry it, so it has FAILED, not is RETRYING",
    "activity_returns_non_utf8_bytes": "its failure is reported, once, as it is not retried",
    "activity_times_out": "the timeout is reported; nothing is after the workflow's end",
    "workflow_bug": "an exception fails a workflow of this package at once, and is reported once",
}
"""Of the official worker's own activities, none of which exist here, nothing is said."""


def expected_events(case: Case) -> list[Body]:
    """The events of a case without those of the official worker's own activities."""
    found: list[Body] = []
    for request in case["requests"]:
        body = request.get("body", {})
        for event in [body["event"]] if "event" in body else body.get("events", []):
            if "__internal__" not in json.dumps(event["attributes"]):
                found.append(event)
    return _corrected(case["name"], found)


def _corrected(name: str, events: list[Body]) -> list[Body]:
    """Apply what `DIFFERENCES` says."""

    def copy(event: Body, event_type: str, **attributes: Any) -> Body:
        kept = {k: event["attributes"][k] for k in ("task_id", "activity_name")}
        return {**event, "event_type": event_type, "attributes": {**kept, **attributes}}

    if name == "activity_not_retryable":
        failed = copy(events[2], "ACTIVITY_TASK_FAILED", attempt=1, failure={"message": "refused"})
        return [*events[:2], failed, events[3]]
    if name == "activity_returns_non_utf8_bytes":
        failed = copy(events[1], "ACTIVITY_TASK_FAILED", attempt=1, failure={"message": ...})
        return [*events[:2], failed, events[2]]
    if name == "activity_times_out":
        message = "activity StartToClose timeout"
        failed = copy(events[1], "ACTIVITY_TASK_FAILED", attempt=1, failure={"message": message})
        return [*events[:2], failed, events[2]]
    if name == "workflow_bug":
        return events[:2]
    return events


class Comparison:
    """Replaces what is volatile, the same way in both."""

    def __init__(self, encoder: PayloadEncoder) -> None:
        self._encoder = encoder
        self._ids: dict[str, str] = {}

    def of(self, event: Body) -> Body:
        plain = {**event, "attributes": self._attributes(event["attributes"])}
        for name in ("event_id", "event_timestamp"):
            plain[name] = "volatile"
        return {
            name: self._id(value) if name.endswith("_id") and isinstance(value, str) else value
            for name, value in plain.items()
        }

    def _attributes(self, attributes: Body) -> Body:
        plain = dict(attributes)
        plain["task_id"] = self._id(str(plain["task_id"]))
        for name in ("input", "result"):
            if name in plain:
                plain[name] = self._value(plain[name])
        return plain

    def _id(self, text: str) -> str:
        return text if text == "volatile" else self._ids.setdefault(text, f"id {len(self._ids)}")

    def _value(self, payload: Body) -> Any:
        value, options = payload["value"], payload["encoding_options"]
        if isinstance(value, str) and options:
            names = tuple(EncodingOption(each) for each in options)
            encoded = EncodedPayload(base64.b64decode(value), names)
            # A blob or a cipher text is as good as the value.
            value = json.loads(self._encoder.decode(encoded))
            options = [each for each in options if each != "offloaded"]
        return {"type": payload["type"], "value": _expanded(value), "options": options or None}


def _expanded(value: Any) -> Any:
    """Replace the placeholders of the recorded cases by what they stand for."""
    if isinstance(value, dict):
        (name, inner), *others = value.items() if value else [("", None)]
        if name == "$string":
            return "x" * inner
        if name in ("$encrypted", "$encrypted_text", "$base64_of_json") and not others:
            return _expanded(inner)
        return {key: _expanded(each) for key, each in value.items()}
    return [_expanded(each) for each in value] if isinstance(value, list) else value


async def report(reporting: Reporting, case: Case) -> list[Body]:
    """Run a case's workflow, and return what the worker reports of it and its children."""
    run = case["run"]
    name = "ev-various" if run["start"] == "ev-chain" else run["start"]
    mode = {"mode": "chain"} if run["start"] == "ev-chain" else {}
    handle = await reporting.start(name, {**_expanded(run["input"]), **mode})
    if run.get("then"):
        await until(lambda: reporting.platform.events(handle.id))
        await handle.cancel()
    try:
        await within(handle.result())
        status = "COMPLETED"
    except WorkflowFailureError:
        status = (await handle.describe()).status.name  # type: ignore[union-attr]
    ended = {"CANCELED": "CANCELED", "COMPLETED": "COMPLETED"}.get(status, "FAILED")

    def is_there() -> bool:
        types = [event["event_type"] for event in reporting.platform.events(handle.id)]
        return f"WORKFLOW_EXECUTION_{ended}" in types

    await until(is_there)
    executions = [handle.id]
    for request in reporting.platform.taken:
        body = request.body
        if request.path == REGISTER and body["temporal_parent_workflow_id"] == handle.id:
            executions.append(body["temporal_workflow_id"])
    return sorted(
        (event for each in executions for event in reporting.platform.events(each)),
        key=lambda event: event["event_timestamp"],
    )


def selected(prefix: str, names: Iterable[str]) -> list[Case]:
    return [CASES[f"{prefix}{name}"] for name in names]


async def compare(target: str, encoder: PayloadEncoder, cases: list[Case]) -> None:
    async with reporting_worker(target, encoder=encoder) as reporting:
        found = await within(asyncio.gather(*[report(reporting, case) for case in cases]), 50)
        for case, events in zip(cases, found, strict=True):
            ours, theirs = Comparison(encoder), Comparison(encoder)
            expected = [theirs.of(event) for event in expected_events(case)]
            for event, other in zip(map(ours.of, events), expected, strict=True):
                if other["attributes"].get("failure") == {"message": ...}:
                    event["attributes"]["failure"] = {"message": ...}
                if case["run"]["start"] == "ev-chain":
                    _ignore_chain(event, other)
                assert event == other, case["name"]
                assert list(event) == list(other)  # all members, in the platform's order
        runs = [
            request.body["temporal_run_id"]
            for request in reporting.platform.taken
            if request.path == REGISTER
        ]
        assert len(runs) == len(set(runs)), "a run is registered once"


def _ignore_chain(event: Body, other: Body) -> None:
    """The recorded chain is a workflow of its own; here it is a mode of another."""
    for each in (event, other):
        each["workflow_name"] = "chain"
        attributes = each["attributes"]
        if "workflow_name" in attributes:
            attributes["workflow_name"] = "chain"
            attributes["input"] = "compared by its activities"
        for name in ("input", "result"):
            value = attributes.get(name)
            if isinstance(value, dict):
                text = json.dumps(value).replace('"mode": "chain"', '"mode": ""')
                attributes[name] = text.replace('"n": 3', '"n": 2').replace('"n": 4', '"n": 2')


def test_every_case_is_compared_or_left_out_for_a_reason() -> None:
    compared = {*PLAIN, *(f"encryption_full/{name}" for name in FULL)}
    compared |= {f"encryption_partial/{name}" for name in PARTIAL} | {"offloading/chain"}
    for name in CASES:
        left_out = any(fnmatchcase(name, pattern) for pattern in WITHOUT_COUNTERPART)
        assert (name in compared) != left_out, name
    assert set(DIFFERENCES) <= compared


PLAIN = [
    "activity_exhausts_attempts",
    "activity_not_retryable",
    "activity_returns_non_utf8_bytes",
    "activity_times_out",
    "canceled_while_sleeping",
    "child_workflow",
    "echo",
    "local_activity",
    "plain_arguments",
    "workflow_bug",
    "workflow_fails_workflow_error",
]
FULL = ["echo"]
PARTIAL = ["activity_failure", "marked_field"]
KEY = "0123456789abcdef" * 4


async def test_the_recorded_cases(temporal_target: str) -> None:
    await compare(temporal_target, PayloadEncoder(), selected("", PLAIN))


async def test_full_encryption_and_references(temporal_target: str, tmp_path: Path) -> None:
    """Every value is encrypted, and large ones are references to encrypted blobs."""
    storage = BlobStorageConfig(storage_provider=StorageProvider.LOCAL, path=tmp_path)
    encoder = PayloadEncoder(
        PayloadOffloadingConfig(storage_config=storage, min_size_bytes=10_000),
        encryption=PayloadEncryptionConfig(mode="full", main_key=KEY),
    )
    await compare(temporal_target, encoder, selected("encryption_full/", FULL))


async def test_partial_encryption(temporal_target: str) -> None:
    encoder = PayloadEncoder(encryption=PayloadEncryptionConfig(mode="partial", main_key=KEY))
    await compare(temporal_target, encoder, selected("encryption_partial/", PARTIAL))


async def test_references(temporal_target: str, tmp_path: Path) -> None:
    """A result's reference is the payload's own; equal lists of arguments are stored once."""
    storage = BlobStorageConfig(storage_provider=StorageProvider.LOCAL, path=tmp_path)
    offloading = PayloadOffloadingConfig(storage_config=storage, min_size_bytes=10_000)
    await compare(temporal_target, PayloadEncoder(offloading), [CASES["offloading/chain"]])
