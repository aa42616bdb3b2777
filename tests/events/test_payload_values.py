"""Values of events from payloads of every form, and Temporal's rules for another attempt."""

from __future__ import annotations

import base64
import json
import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio.api.common.v1 import Payload, RetryPolicy
from temporalio.api.failure.v1 import Failure

from mistral_offload.config import (
    BlobStorageConfig,
    PayloadEncryptionConfig,
    PayloadOffloadingConfig,
    StorageProvider,
)
from mistral_offload.events.activity_events import is_retried
from mistral_offload.events.event import AttributeText, Event, LateValue, ReportedRun
from mistral_offload.events.payload_values import PayloadValues
from mistral_offload.events.task_records import ReceivedActivity
from mistral_offload.payload.context import PayloadContext
from mistral_offload.payload.encoded_payload import EncodedPayload, EncodingOption
from mistral_offload.payload.encoder import PayloadEncoder
from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal.outbound import sdk_internals
from mistral_offload.temporal.wire.context_payloads import ContextPayload
from mistral_offload.temporal.wire.plain_payloads import write_plain

RUN = ReportedRun("wf", "run", "flow", "wf")
CONTEXT = PayloadContext("default", "wf")
KEY = "0123456789abcdef" * 4


def plain(encoding: str, data: bytes) -> Payload:
    return Payload(metadata={"encoding": encoding.encode()}, data=data)


def with_context(data: bytes, *options: EncodingOption, empty: bool = False) -> Payload:
    return ContextPayload(data, CONTEXT, options, empty).to_payload()


def values(encoder: PayloadEncoder | None = None, *, whole: bool = False) -> PayloadValues:
    return PayloadValues(encoder or PayloadEncoder(), namespace="default", whole=whole)


def storing(store: MemoryStore, **options: Any) -> PayloadEncoder:
    storage = BlobStorageConfig(storage_provider=StorageProvider.LOCAL, path="unused")
    offloading = PayloadOffloadingConfig(storage_config=storage, min_size_bytes=3000)
    return PayloadEncoder(offloading, store=store, **options)


def sent(attribute: AttributeText) -> Any:
    """The attribute as it is in the request."""
    event = json.loads(Event(RUN, "X", "id", (("value", attribute),)).to_json())
    return event["attributes"]["value"]


NESTED = json.dumps(
    {"context": {"namespace": "default", "execution_id": "wf"}, "payload": '{"a":1}'}
).encode()


@pytest.mark.parametrize(
    ("payload", "value"),
    [
        (with_context(b'{"a":"\xc3\xa9"}'), {"a": "é"}),
        (plain("json/wf_v1", NESTED), {"a": 1}),
        (plain("json/plain", b"[1,2.50]"), [1, 2.5]),
        (plain("json/protobuf", b'{"a":"1"}'), {"a": "1"}),
        (plain("binary/null", b""), None),
        (plain("binary/plain", b"text"), "text"),
        (plain("binary/plain", b"\xff\x00"), base64.b64encode(b"\xff\x00").decode()),
        (plain("binary/protobuf", b"\x08\x01"), base64.b64encode(b"\x08\x01").decode()),
        (with_context(b'{"a":NaN}'), None),
        (with_context(b'{"a":'), None),
        (plain("json/wf_v1", b"no context"), None),
    ],
)
def test_values_of_payloads(payload: Payload, value: Any) -> None:
    expected = {"type": "json", "value": value, "encoding_options": None}
    assert sent(values().value(payload, RUN)) == expected
    if value is not None:
        expected["value"] = [value]
        assert sent(values().arguments([payload], RUN, b"[]")) == expected


def test_lists_of_arguments() -> None:
    made = values()
    assert sent(made.arguments([], RUN, b"[]"))["value"] == []
    empty = with_context(b"null", empty=True)
    assert sent(made.arguments([empty], RUN, b"[{}]"))["value"] == [{}]
    both = [with_context(b'"a"'), plain("binary/null", b"")]
    assert sent(made.arguments(both, RUN, b"[]"))["value"] == ["a", None]


def test_a_payload_is_copied_before_it_changes() -> None:
    payload = with_context(b'{"a":1}')
    late = values().value(payload, RUN)
    payload.data = b"changed"
    assert sent(late)["value"] == {"a": 1}


@pytest.mark.parametrize("encrypts", [False, True])
def test_a_reference_is_the_payloads_own_and_a_list_is_stored_once(encrypts: bool) -> None:
    store = MemoryStore()
    keys = PayloadEncryptionConfig(mode="full", main_key=KEY) if encrypts else None
    encoder = storing(store, encryption=keys)
    text = b'{"text":"%b"}' % (b"x" * 5000)
    encoded = encoder.encode(text, CONTEXT)
    assert encoded.is_offloaded
    made, result = values(encoder), with_context(encoded.data, *encoded.options)
    blobs = len(list(store.list()))
    found = sent(made.value(result, RUN))
    assert base64.b64decode(found["value"]) == encoded.data
    assert found["encoding_options"] == [option.value for option in encoded.options]
    assert (len(list(store.list())), made.stored) == (blobs, 0)

    by_client = write_plain(plain("json/plain", text), encoded)  # of a client without contexts
    lists = [sent(made.arguments([each], RUN, b"[]")) for each in (result, by_client, result)]
    assert lists[0] == lists[1] == lists[2]
    assert (len(list(store.list())), made.stored) == (blobs + 1, 1)
    options = tuple(EncodingOption(name) for name in lists[0]["encoding_options"])
    reference = EncodedPayload(base64.b64decode(lists[0]["value"]), options)
    assert encoder.decode(reference) == b"[%b]" % text

    whole = sent(values(encoder, whole=True).value(result, RUN))
    if not encrypts:
        assert whole == {"type": "json", "value": json.loads(text), "encoding_options": None}
    else:
        assert whole["encoding_options"] == ["encrypted"]


def test_a_failures_message_is_encrypted_with_all_else() -> None:
    encoder = PayloadEncoder(encryption=PayloadEncryptionConfig(mode="full", main_key=KEY))
    made = values(encoder)
    texts = json.dumps({"message": "secret", "stack_trace": ""}).encode()
    encoded = Failure(message="Encoded failure")
    encoded.encoded_attributes.CopyFrom(
        write_plain(plain("json/plain", texts), encoder.encode(texts, None))
    )
    for attribute in (made.failure(encoded), made.failure(Failure(message="secret"))):
        failure = sent(attribute)
        assert failure["message"] == "Encoded failure"
        envelope = failure["encoded_attributes"]
        assert envelope["encoding_options"] == ["encrypted"]
        payload = EncodedPayload(
            base64.b64decode(envelope["b64payload"]), (EncodingOption.ENCRYPTED,)
        )
        assert json.loads(encoder.decode(payload))["message"] == "secret"
    assert sent(values().failure(Failure(message="open"))) == {"message": "open"}


def attempt(
    number: int = 1,
    *,
    maximum: int = 3,
    interval: float = 1,
    total: float = 0,
    waited: float = 0,
    types: tuple[str, ...] = (),
) -> ReceivedActivity:
    start = sdk_messages().ActivityTask().start
    start.attempt = number
    policy = RetryPolicy(maximum_attempts=maximum, non_retryable_error_types=types)
    policy.initial_interval.FromTimedelta(timedelta(seconds=interval))
    policy.backoff_coefficient = 2.0
    start.retry_policy.CopyFrom(policy)
    start.schedule_to_close_timeout.FromTimedelta(timedelta(seconds=total))
    start.scheduled_time.FromSeconds(1000)
    start.started_time.FromSeconds(1000 + int(waited))
    return ReceivedActivity(b"token", start, at=50.0)


def sdk_messages() -> Any:
    import temporalio.bridge.proto.activity_task as messages

    return messages


def raised(kind: str = "ValueError", **members: Any) -> Failure:
    failure = Failure(message="no")
    failure.application_failure_info.type = kind
    failure.application_failure_info.non_retryable = members.get("non_retryable", False)
    if "delay" in members:
        failure.application_failure_info.next_retry_delay.FromSeconds(members["delay"])
    return failure


CANCELED = Failure(message="canceled")
CANCELED.canceled_failure_info.SetInParent()


@pytest.mark.parametrize(
    ("received", "failure", "expected"),
    [
        (attempt(1), raised(), True),
        (attempt(2), raised(), True),
        (attempt(3), raised(), False),
        (attempt(3000, maximum=0), raised(), True),
        (attempt(1), raised(non_retryable=True), False),
        (attempt(1, types=("ValueError",)), raised(), False),
        (attempt(1, types=("KeyError",)), raised(), True),
        (attempt(1), CANCELED, False),
        (attempt(1, total=10), raised(), True),
        (attempt(1, total=10, waited=8), raised(), False),  # 8 s + 2 s of work + 1 s of pause
        (attempt(1, total=10, interval=9), raised(), False),
        (attempt(1, total=10), raised(delay=9), False),
        (attempt(1, total=10, interval=9), raised(delay=1), True),
        (attempt(3000, maximum=0, total=10), raised(), False),
    ],
)
def test_another_attempt(received: ReceivedActivity, failure: Failure, expected: bool) -> None:
    assert is_retried(received, failure, at=52.0) is expected


def test_without_a_policy_there_is_one_attempt() -> None:
    received = attempt()
    received.start.ClearField("retry_policy")
    assert not is_retried(received, raised(), at=52.0)


async def test_an_observer_that_fails_is_logged_once_and_stops_nothing(
    caplog: pytest.LogCaptureFixture,
) -> None:
    done: list[str] = []

    class Core:
        name = "core"

        async def poll_workflow_activation(self) -> str:
            return "activation"

        async def complete_workflow_activation(self, completion: str) -> None:
            done.append(completion)

        async def poll_activity_task(self) -> str:
            return "task"

        async def complete_activity_task(self, completion: str) -> None:
            done.append(completion)

    worker: Any = SimpleNamespace(_bridge_worker=Core())

    def fail(_: object) -> None:
        raise ValueError("unexpected")

    names = ("receive_activation", "send_activation", "receive_activity", "send_activity")
    sdk_internals.observe_tasks(worker, SimpleNamespace(**dict.fromkeys(names, fail)))  # type: ignore[arg-type]
    core = worker._bridge_worker
    assert core.name == "core"
    assert await core.poll_workflow_activation() == "activation"
    assert await core.poll_activity_task() == "task"
    await core.complete_workflow_activation("response")
    await core.complete_activity_task("outcome")
    assert done == ["response", "outcome"]
    assert caplog.text.count("could not be reported") == 1


def test_a_temporalio_without_this_core_is_worked_with(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    worker: Any = SimpleNamespace()
    sdk_internals.observe_tasks(worker, SimpleNamespace())  # type: ignore[arg-type]
    assert vars(worker) == {}
    assert "streams of executions stay empty" in caplog.text


def test_late_values_count_what_they_hold() -> None:
    late = values().value(with_context(b"1" * 1000), RUN)
    assert isinstance(late, LateValue)
    assert late.held_bytes == 1000
