"""Data beside commands and parsed values beside payloads, on a real Temporal server."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from pydantic import ValidationError
from temporalio import activity, workflow
from temporalio.api.common.v1 import Payload
from temporalio.common import RawValue
from temporalio.worker import Replayer, Worker

from mistral_offload.storage.memory import MemoryStore
from mistral_offload.temporal import OffloadPlugin
from mistral_offload.temporal.converter import ContextCompositeConverter
from mistral_offload.temporal.outbound.outbox import LostStandInError, Outbox, find_entry
from mistral_offload.temporal.parsed_values import parse_ahead, take_parsed
from tests.temporal.plain_worker import encoder_for, failed_tasks
from tests.temporal_bounds import connect, result_of, running

SIZE = 1_000_000
TIMEOUT = timedelta(seconds=60)


@activity.defn
async def make_rows(number: int) -> list[dict[str, Any]]:
    return [{"id": number, "text": "x" * 100, "none": None} for _ in range(8000)]


@activity.defn
async def sizes(rows: list[dict[str, Any]], text: str) -> list[int]:
    return [len(rows), len(text), sum(len(row) for row in rows)]


@workflow.defn
class Uses:
    """Uses large values in every way in which a payload can be seen."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []

    @workflow.run
    async def run(self) -> dict[str, Any]:
        first, second = [await self.rows_of(1), await self.rows_of(1)]
        first[0]["new"] = "changed"
        raw: RawValue = await workflow.execute_activity(
            "make_rows", 2, result_type=RawValue, start_to_close_timeout=TIMEOUT
        )
        [converted] = workflow.payload_converter().to_payloads(["y" * SIZE])
        workflow.upsert_memo({"text": "z" * SIZE})
        self.rows = second
        return {
            "second": second[0],
            "sent": await self.sizes_of(first, "x" * SIZE),
            "raw metadata": [key for key in raw.payload.metadata if "offload" in key],
            "raw": await self.sizes_of(raw, "x"),
            "converted": len(converted.data),
            "passed on": await self.sizes_of(second, RawValue(converted)),
            "memo": len(workflow.memo_value("text", "", type_hint=str)),
            "text": "t" * SIZE,
        }

    async def rows_of(self, number: int) -> list[dict[str, Any]]:
        return await workflow.execute_activity(make_rows, number, start_to_close_timeout=TIMEOUT)

    async def sizes_of(self, *args: Any) -> Any:
        return await workflow.execute_activity("sizes", args=args, start_to_close_timeout=TIMEOUT)

    @workflow.query
    def held(self) -> list[dict[str, Any]]:
        return self.rows


async def test_large_values_in_all_places(
    temporal_target: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    held: list[int] = []
    record = Outbox.record

    def observed(
        self: Outbox, payloads: Sequence[Any], *args: Any, **options: Any
    ) -> list[Payload]:
        marked = record(self, payloads, *args, **options)
        held.extend(
            len(payload.data) - len(each.data)
            for payload, each in zip(payloads, marked, strict=True)
        )
        return marked

    monkeypatch.setattr(Outbox, "record", observed)
    plugin = OffloadPlugin(encoder=encoder_for(MemoryStore()))
    client = await connect(temporal_target, plugins=[plugin])
    async with running(
        Worker(client, task_queue=uuid4().hex, workflows=[Uses], activities=[make_rows, sizes])
    ) as worker:
        handle = await client.start_workflow(
            Uses.run, id=f"uses-{uuid4().hex[:8]}", task_queue=worker.task_queue
        )
        found = await result_of(handle)
        queried = await handle.query(Uses.held)
    assert found == {
        "second": {"id": 1, "text": "x" * 100, "none": None},
        "sent": [8000, SIZE, 24_001],
        "raw metadata": [],
        "raw": [8000, 1, 24_000],
        "converted": SIZE + 2,
        "passed on": [8000, SIZE, 24_000],
        "memo": SIZE,
        "text": "t" * SIZE,
    }
    assert queried == await make_rows(1)
    assert await failed_tasks(handle) == []
    assert len([size for size in held if size >= SIZE]) >= 4  # rows twice, a text, the result

    replayer = Replayer(workflows=[Uses], plugins=[plugin])
    assert (await replayer.replay_workflow(await handle.fetch_history())).replay_failure is None


def test_a_stand_in_without_data_is_never_sent() -> None:
    stand_in = Payload(
        metadata={"encoding": b"binary/offload-stand-in", "__offload_outbox_entry": b"0.0"}
    )
    with pytest.raises(LostStandInError):
        find_entry(stand_in)


@pytest.mark.parametrize("value", ["ü" * SIZE, [1] * SIZE, {"text": "x" * SIZE}], ids=type)
@pytest.mark.parametrize("hint", [None, Any, str, list[int], dict[str, str]], ids=str)
async def test_a_large_value_is_parsed_ahead_and_read_as_ever(value: object, hint: Any) -> None:
    converter = ContextCompositeConverter()
    payload = converter.to_payload(value)
    hints = None if hint is None else [hint]
    try:
        expected: object = converter.from_payloads([payload], hints)
    except ValidationError as error:
        expected = str(error)
    assert take_parsed(await parse_ahead(payload, f"{uuid4()}")) is not None
    try:
        read: object = converter.from_payloads([await parse_ahead(payload, f"{uuid4()}")], hints)
    except ValidationError as error:
        read = str(error)
    assert read == expected
