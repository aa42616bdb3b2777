"""A workflow whose values have every encoding of Temporal."""

from __future__ import annotations

from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio import activity, workflow

from tests.temporal.heavy import TIMEOUT


@activity.defn
async def nothing(value: None) -> None:
    assert value is None


@activity.defn
async def without_arguments() -> bytes:
    return b"ok"


@activity.defn
async def half(value: Duration) -> Duration:
    return Duration(seconds=value.seconds // 2, nanos=500_000_000)


@workflow.defn
class Small:
    def __init__(self) -> None:
        self.told: dict[str, int] | None = None

    @workflow.run
    async def run(self) -> dict[str, Any]:
        empty = await workflow.execute_activity(nothing, None, start_to_close_timeout=TIMEOUT)
        raw = await workflow.execute_activity(without_arguments, start_to_close_timeout=TIMEOUT)
        proto = await workflow.execute_activity(
            half, Duration(seconds=7), start_to_close_timeout=TIMEOUT
        )
        await workflow.wait_condition(lambda: self.told is not None)
        return {
            **(self.told or {}),
            "nothing": empty,
            "raw": raw.decode(),
            "proto": f"{proto.seconds}.{proto.nanos // 100_000_000}s",
        }

    @workflow.signal
    def tell(self, value: dict[str, int]) -> None:
        self.told = value

    @workflow.query
    def ask(self, value: int) -> int:
        return value

    @workflow.update
    async def change(self, value: None) -> None:
        assert value is None


SMALL_ACTIVITIES: list[Any] = [nothing, without_arguments, half]
