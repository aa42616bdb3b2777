"""A plain temporalio worker with the plugin in the soak, and readers that do not have it.

``python -m tests.faults.soak.readers SETTINGS`` takes the settings as JSON and prints the outcome
as JSON. A reader without the plugin must get a small value as it is. For a reference it must get an
error, never a value.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.common import RawValue, RetryPolicy
from temporalio.service import RPCError
from temporalio.worker import Worker

with workflow.unsafe.imports_passed_through():
    from mistral_offload.config import BlobStorageConfig, PayloadOffloadingConfig
    from mistral_offload.errors import MistralOffloadError
    from mistral_offload.temporal import OffloadPlugin
    from tests.faults.stack import make_text, turned
    from tests.temporal_bounds import running

QUEUE = "soak-readers"
SMALL, LARGE = 1_000, 400_000
_AT_ONCE = 4
_PAUSE_SECONDS = 0.3
_ATTEMPT = timedelta(seconds=10)


@dataclass(frozen=True)
class Settings:
    """Parameters of the readers.

    Attributes:
        address: Temporal's.
        namespace: Temporal's.
        storage: the storage block.
        seed: makes the execution ids distinct.
        seconds: how long new workflows are started.
        patience: how many seconds the last ones may run after that.
    """

    address: str
    namespace: str
    storage: dict[str, str]
    seed: int
    seconds: float
    patience: float


@dataclass
class Read:
    """Outcome of the reads.

    Attributes:
        right: results that the client with the plugin got.
        small: small results that a client without it read.
        refused: references for which such a client got an error.
        wrong: wrong values, failed executions, and references that were read as values.
        stuck: executions that had not ended in time.
    """

    right: int = 0
    small: int = 0
    refused: int = 0
    wrong: list[str] = field(default_factory=list)
    stuck: list[str] = field(default_factory=list)


@activity.defn
async def turn(text: str) -> str:
    return turned(text)


@workflow.defn
class Turning:
    @workflow.run
    async def run(self, text: str) -> str:
        return await workflow.execute_activity(
            turn,
            text,
            start_to_close_timeout=_ATTEMPT,
            retry_policy=RetryPolicy(maximum_interval=timedelta(seconds=5)),
        )


class Reading:
    """Starts workflows by a client with the plugin, and reads their results by both clients."""

    def __init__(self, settings: Settings, client: Client, plain: Client) -> None:
        self.read = Read()
        self._settings = settings
        self._client = client
        self._plain = plain
        self._numbers = iter(range(1_000_000))
        self._until = time.monotonic() + settings.seconds

    async def run(self) -> None:
        """Run workflows, some at a time, until the time is over."""
        await asyncio.gather(*(self._run_some() for _ in range(_AT_ONCE)))

    async def _run_some(self) -> None:
        while time.monotonic() < self._until:
            number = next(self._numbers)
            execution_id = f"readers-{self._settings.seed}-{number}"
            left = self._until + self._settings.patience - time.monotonic()
            try:
                await asyncio.wait_for(self._run_one(number, execution_id), left)
            except asyncio.TimeoutError:
                self.read.stuck.append(execution_id)

    async def _run_one(self, number: int, execution_id: str) -> None:
        text = make_text(number, SMALL if number % 2 else LARGE)
        await self._insist(
            lambda: self._client.start_workflow(
                Turning.run,
                text,
                id=execution_id,
                task_queue=QUEUE,
                execution_timeout=timedelta(minutes=5),
            )
        )
        handle = self._client.get_workflow_handle(execution_id, result_type=str)
        try:
            result = await self._insist(handle.result)
        except WorkflowFailureError as error:
            self.read.wrong.append(f"{execution_id}: {error.cause!r}")
            return
        if result != turned(text):
            self.read.wrong.append(f"{execution_id} gave another result")
            return
        self.read.right += 1
        await self._read_without_plugin(execution_id, turned(text))

    async def _read_without_plugin(self, execution_id: str, expected: str) -> None:
        raw: WorkflowHandle[Any, Any] = self._plain.get_workflow_handle(
            execution_id, result_type=RawValue
        )
        encoding = (await raw.result()).payload.metadata["encoding"]
        is_plain = encoding in (b"json/plain", b"binary/plain")
        try:
            found = await self._plain.get_workflow_handle(execution_id, result_type=str).result()
        except Exception as error:
            if is_plain or len(expected) == SMALL:
                self.read.wrong.append(f"{execution_id}: a value was refused: {error!r}")
            else:
                self.read.refused += 1
            return
        if found != expected:
            self.read.wrong.append(f"{execution_id}: without the plugin, another value was read")
        else:
            self.read.small += 1

    async def _insist(self, call: Any) -> Any:
        """Retry after errors of the store, as a program does that must succeed."""
        while True:
            try:
                return await call()
            except (MistralOffloadError, RPCError) as error:
                if "already started" in str(error):
                    return None
                await asyncio.sleep(_PAUSE_SECONDS)


async def main(settings: Settings) -> None:
    storage = BlobStorageConfig(**settings.storage)
    config = PayloadOffloadingConfig(storage_config=storage, min_size_bytes=LARGE // 2)
    client = await Client.connect(
        settings.address, namespace=settings.namespace, plugins=[OffloadPlugin(config)]
    )
    plain = await Client.connect(settings.address, namespace=settings.namespace)
    reading = Reading(settings, client, plain)
    async with running(Worker(client, task_queue=QUEUE, workflows=[Turning], activities=[turn])):
        await reading.run()
    print(json.dumps(asdict(reading.read)), flush=True)
    sys.stdin.read()  # until it has been checked


if __name__ == "__main__":
    asyncio.run(main(Settings(**json.loads(sys.argv[1]))))
