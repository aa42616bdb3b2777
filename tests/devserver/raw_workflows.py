"""Workflows that receive payloads unchanged, without our codec and converter."""

import base64
import json
from datetime import timedelta

from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

TASK_QUEUE = "raw-queue"


@workflow.defn(name="echo")
class Echo:
    @workflow.run
    async def run(self, value: RawValue) -> RawValue:
        return value


@workflow.defn(name="late-echo")
class LateEcho:
    """The same, for a queue whose worker says that it reports events."""

    @workflow.run
    async def run(self, value: RawValue) -> RawValue:
        return value


@workflow.defn(name="tell")
class Tell:
    """Returns metadata and data of its input, as plain JSON."""

    @workflow.run
    async def run(self, value: RawValue) -> dict[str, str]:
        metadata = {key: data.decode() for key, data in value.payload.metadata.items()}
        return {**metadata, "data": value.payload.data.decode()}


@workflow.defn(name="produce")
class Produce:
    """Returns the payload that its input describes."""

    @workflow.run
    async def run(self, value: RawValue) -> RawValue:
        described = json.loads(value.payload.data)
        metadata = {key: text.encode() for key, text in described["metadata"].items()}
        return RawValue(Payload(metadata=metadata, data=base64.b64decode(described["data"])))


@activity.defn(name="break")
async def break_down(message: str) -> None:
    raise ApplicationError(message, {"more": 1}, type="DiskError", non_retryable=True) from OSError(
        "an inner cause"
    )


@workflow.defn(name="fail")
class Fail:
    @workflow.run
    async def run(self, value: RawValue) -> None:
        await workflow.execute_activity(
            break_down, "disk full", start_to_close_timeout=timedelta(seconds=10)
        )


@workflow.defn(name="sleep")
class Sleep:
    @workflow.run
    async def run(self, value: RawValue) -> None:
        await workflow.sleep(3600)


@workflow.defn(name="countdown")
class Countdown:
    """Continues as new until it reaches zero."""

    @workflow.run
    async def run(self, value: RawValue) -> RawValue:
        left = int(value.payload.data)
        if left:
            metadata = dict(value.payload.metadata)
            workflow.continue_as_new(RawValue(Payload(metadata=metadata, data=b"%d" % (left - 1))))
        return value


@workflow.defn(name="talk")
class Talk:
    def __init__(self) -> None:
        self._heard = RawValue(Payload(metadata={"encoding": b"binary/null"}))
        self._done = False

    @workflow.run
    async def run(self, value: RawValue) -> RawValue:
        await workflow.wait_condition(lambda: self._done)
        return self._heard

    @workflow.signal
    async def hear(self, value: RawValue) -> None:
        self._heard = value

    @workflow.signal
    async def finish(self, value: RawValue) -> None:
        self._done = True

    @workflow.query
    def heard(self, value: RawValue) -> RawValue:
        return self._heard

    @workflow.query
    def echoed(self, value: RawValue) -> RawValue:
        return value

    @workflow.query
    def huge(self, value: RawValue) -> str:
        return "x" * 2_200_000

    @workflow.query
    def broken_query(self, value: RawValue) -> None:
        raise ValueError("no such value")

    @workflow.update
    async def exchange(self, value: RawValue) -> RawValue:
        before, self._heard = self._heard, value
        return before

    @workflow.update
    async def broken_update(self, value: RawValue) -> None:
        raise ApplicationError("refused here", type="Refused")


WORKFLOWS = [Echo, Tell, Produce, Fail, Sleep, Countdown, Talk]
